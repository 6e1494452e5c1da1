//! Consul's filter expressions: `Service.Port == 80 and "v2" in Service.Tags`.
//!
//! The language is go-bexpr's: comparisons of the fields of an answer's items with literals, joined with `and`, `or`
//! and `not`. It works on the JSON of an item, so that it can never see more than the client would. Length, depth and
//! regular expressions are bounded.

mod lexer;
mod matching;
mod parser;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use parser::Expression;

/// Longest expression, in bytes.
pub(crate) const MAX_LENGTH: usize = 4096;

/// A condition that was understood.
#[derive(Debug)]
pub(crate) struct Filter(Expression);

/// Why there is no answer to a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// The expression is not one.
    Syntax(String),
    /// It does not fit what it is applied to.
    Evaluation(String),
}

impl Filter {
    /// Reads an expression.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_LENGTH {
            return Err(Error::Syntax(format!("an expression has at most {MAX_LENGTH} bytes")));
        }
        parser::parse(text).map(Self).map_err(Error::Syntax)
    }

    /// Whether an item is wanted.
    pub(crate) fn matches(&self, item: &Value) -> Result<bool, Error> {
        self.0.matches(item).map_err(Error::Evaluation)
    }

    /// The items that are wanted, as JSON.
    pub(crate) fn keep<T: Serialize>(&self, items: impl IntoIterator<Item = T>) -> Result<Vec<Value>, Error> {
        let mut kept = Vec::new();
        for item in items {
            let item = serde_json::to_value(item).map_err(|error| Error::Evaluation(error.to_string()))?;
            if self.matches(&item)? {
                kept.push(item);
            }
        }
        Ok(kept)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(why) => write!(f, "Failed to create boolean expression evaluator: {why}"),
            Self::Evaluation(why) => write!(f, "Failed to evaluate boolean expression: {why}"),
        }
    }
}

#[cfg(test)]
mod tests;
