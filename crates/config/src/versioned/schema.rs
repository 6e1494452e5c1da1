//! JSON Schemas: attached to a key or to everything below a path, and enforced on each write.

use std::fmt;
use std::sync::{Arc, OnceLock};

use jsonschema::Validator;
use serde::Serialize;
use serde_json::Value;

use super::address::path_of;
use super::change::Format;
use crate::cells::{Cell, Kind};
use crate::error::{Error, Result};

/// Largest schema, in bytes.
const MAX_SCHEMA: usize = 64 << 10;
/// So many faults of one value are told.
const MAX_VIOLATIONS: usize = 20;

/// A schema and where it is attached.
#[derive(Debug, Clone, Serialize)]
pub struct SchemaView {
    /// The key, or the path above the keys; empty: the whole environment.
    pub path: String,
    /// The schema.
    pub schema: Value,
    /// The revision that attached it.
    pub revision: u64,
    #[serde(skip)]
    pub(crate) name: Arc<str>,
    #[serde(skip)]
    compiled: OnceLock<Arc<Validator>>,
}

/// One place of a value that does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The key.
    pub key: String,
    /// JSON pointer into its value.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?}: {}", self.key, self.pointer, self.detail)
    }
}

impl SchemaView {
    /// Compiles the schema, so that a wrong one is refused here.
    pub(crate) fn new(name: &str, schema: Value, revision: u64) -> Result<Self> {
        if schema.to_string().len() > MAX_SCHEMA {
            return Err(Error::invalid("", format!("a schema has at most {MAX_SCHEMA} bytes")));
        }
        let view = Self::made(name, schema, revision);
        view.validator()?;
        Ok(view)
    }

    fn made(name: &str, schema: Value, revision: u64) -> Self {
        let path = path_of(name).to_owned();
        Self { path, schema, revision, name: name.into(), compiled: OnceLock::new() }
    }

    pub(crate) fn of_cell(cell: &Cell) -> Result<Self, String> {
        Ok(Self::made(cell.name()?, cell.meta()?, cell.revision))
    }

    pub(crate) fn to_cell(&self) -> Cell {
        Cell::new(Kind::Schema, &self.name, self.revision, true, &self.schema)
    }

    fn validator(&self) -> Result<Arc<Validator>> {
        if let Some(validator) = self.compiled.get() {
            return Ok(validator.clone());
        }
        let made = jsonschema::validator_for(&self.schema).map_err(|error| {
            Error::invalid(error.instance_path().to_string(), format!("this is no JSON Schema: {error}"))
        })?;
        Ok(self.compiled.get_or_init(|| Arc::new(made)).clone())
    }

    /// Checks a value. What is wrong with a secret is told without showing any of it.
    pub(crate) fn check(&self, key: &str, format: Format, plain: &[u8], secret: bool) -> Result<()> {
        let path = path_of(key).to_owned();
        let refuse = |violations| Err(Error::Schema { schema: format!("at {:?}", self.path), violations });
        if format != Format::Json {
            let detail = format!("has a schema, so it must be JSON and not {}", format.as_str());
            return refuse(vec![Violation { key: path, pointer: String::new(), detail }]);
        }
        // It was read as JSON when it came in.
        let value: Value = serde_json::from_slice(plain).unwrap_or_default();
        let validator = self.validator()?;
        let violations: Vec<_> = validator
            .iter_errors(&value)
            .take(MAX_VIOLATIONS)
            .map(|error| Violation {
                key: path.clone(),
                pointer: error.instance_path().to_string(),
                detail: if secret { error.masked_with("***").to_string() } else { error.to_string() },
            })
            .collect();
        if violations.is_empty() { Ok(()) } else { refuse(violations) }
    }
}
