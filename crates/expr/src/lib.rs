//! CEL, the one expression language of the platform: compiled once, JSON in and JSON out, bounded in cost, no I/O.
//!
//! Parsing and evaluation are the crate `cel`. What is added here is what an expression in a configuration file needs
//! to be safe on a server: every expression is bounded in length, depth and steps; integers and decimals mix in
//! arithmetic, since JSON does not tell `100` from `100.0`; `sum`, `avg`, `min` and `max` work on lists of numbers; and
//! errors are sentences for the person who wrote the expression.

mod budget;
mod compile;
mod error;
mod functions;
mod json;
mod lists;
mod numbers;
mod rewrite;

use std::sync::Arc;

use cel::parser::Expression as Ast;
use cel::{Context, Env};
use serde_json::{Map, Value};

pub use error::{Error, Position};

/// What an expression may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest source, in bytes. Never more than [`Limits::MAX_SOURCE_BYTES`].
    pub max_source_bytes: usize,
    /// Most steps of one evaluation. A step is about one value looked at or one operation in a loop; a million take a
    /// few tenths of a second and, if all of them build values, in the order of a hundred megabytes.
    pub max_steps: u64,
}

/// A compiled expression.
pub struct Expression {
    source: Box<str>,
    ast: Ast,
    env: Arc<Env>,
    variables: Vec<Variable>,
    /// Names of types that may also be variables: `int`, `list`.
    type_names: Vec<String>,
    limits: Limits,
}

/// A name that an expression leaves for its caller to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub name: String,
    /// Where it is used first.
    pub position: Position,
}

impl Limits {
    /// The parser's stack is reserved for this much source, whatever the settings say.
    pub const MAX_SOURCE_BYTES: usize = 16 << 10;
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_source_bytes: 4096, max_steps: 4_000_000 }
    }
}

impl Expression {
    /// Compiles `source`. The error says where and what was expected.
    pub fn compile(source: &str, limits: Limits) -> Result<Self, Error> {
        compile::compile(source, limits)
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that [`evaluate`](Self::evaluate) needs, in the order of their first use.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// Whether it looks at the variable `name` if there is one. Besides [`variables`](Self::variables) these are names
    /// of types, which a variable may hide: `list`, `int`.
    pub fn uses(&self, name: &str) -> bool {
        self.variables.iter().any(|v| v.name == name) || self.type_names.iter().any(|t| t == name)
    }

    /// Evaluates it over `variables`, of which only those it uses are looked at.
    ///
    /// JSON integers stay integers. A result that is a whole number within ±2^53 is written as an integer, even if it
    /// was computed as a decimal.
    pub fn evaluate(&self, variables: &Map<String, Value>) -> Result<Value, Error> {
        let budget = budget::Budget::new(self.limits.max_steps);
        let mut context = Context::with_env(Arc::clone(&self.env));
        for Variable { name, .. } in &self.variables {
            let value = variables.get(name).ok_or_else(|| Error::MissingVariable { name: name.clone() })?;
            context.add_variable_as_val(name, json::to_cel(value, &budget)?);
        }
        for name in &self.type_names {
            if let Some(value) = variables.get(name) {
                context.add_variable_as_val(name, json::to_cel(value, &budget)?);
            }
        }
        context.add_variable_as_val(budget::NAME, Box::new(budget.clone()));
        let result = cel::Value::resolve_val(&self.ast, &context).map_err(|error| Error::from_cel(&error))?;
        // CEL's logic swallows errors, ours included: a result that was cut short is none.
        budget.charge(0)?;
        json::from_cel(result.as_ref())
    }
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}
