//! What can be wrong with an expression, told to the person who wrote it. No text holds data from the input except the
//! names of members.

use std::fmt;

use cel::ExecutionError;

use crate::budget;

/// A place in the source, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Character of the line.
    pub column: usize,
}

/// Why an expression cannot be compiled or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The source is over [`max_source_bytes`](crate::Limits::max_source_bytes).
    #[error("the expression has {bytes} bytes; at most {limit} are allowed")]
    TooLong {
        /// What it has.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// Parts of the expression are nested too deeply.
    #[error("the expression is nested too deeply; at most {limit} levels are allowed")]
    TooDeep {
        /// Levels that are allowed.
        limit: usize,
    },
    /// It is not CEL.
    #[error("at {position}: {message}")]
    Syntax {
        /// Where.
        position: Position,
        /// What was found and what was expected.
        message: String,
    },
    /// A variable was not given.
    #[error("there is no value for {name:?}")]
    MissingVariable {
        /// The variable.
        name: String,
    },
    /// The evaluation took more than [`max_steps`](crate::Limits::max_steps).
    #[error("the expression takes too many steps over this much data")]
    TooExpensive,
    /// The data does not fit the expression.
    #[error("{0}")]
    Evaluation(String),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 1 {
            write!(f, "line {}, ", self.line)?;
        }
        write!(f, "character {}", self.column)
    }
}

impl Position {
    /// The place of the byte at `offset`.
    pub(crate) fn of(source: &str, offset: usize) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

impl Error {
    pub(crate) fn from_cel(error: &ExecutionError) -> Self {
        use ExecutionError as E;
        Self::Evaluation(match error {
            E::FunctionError { function, .. } if function == budget::NAME => return Self::TooExpensive,
            E::UndeclaredReference(name) => {
                return Self::MissingVariable { name: name.to_string() };
            }
            // Our own functions write whole sentences.
            E::FunctionError { function, message } if function.starts_with('@') => message.clone(),
            E::FunctionError { function, message } => {
                format!("{function}(): {}", message.lines().next().unwrap_or_default())
            }
            E::NoSuchKey(name) => format!("there is no member {name:?}"),
            E::NoSuchOverload(call) => mismatch(call.function(), call.argument_types()),
            E::UnexpectedType { got, want } => format!("expected {}, found {}", kind(want), kind(got)),
            E::DivisionByZero(_) | E::RemainderByZero(_) => "division by zero".into(),
            E::Overflow(..) => "a number is out of range".into(),
            E::IndexOutOfBounds(_) => "a list has no element at the index".into(),
            E::ValuesNotComparable(..) => "two values cannot be compared".into(),
            E::DuplicateKey(_) => "a map has the same key twice".into(),
            E::UnsupportedKeyType(_) => "the key of a map must be text, a number, true or false".into(),
            // The rest name values in their own text, which may be data.
            _ => "the values do not fit the expression".into(),
        })
    }
}

/// `operator`, as `cel` names it, does not take values of these types.
pub(crate) fn mismatch(operator: &str, types: &[String]) -> String {
    let types = types.iter().map(|t| kind(t)).collect::<Vec<_>>().join(" and ");
    match operator {
        "_[_]" => format!("[..] does not work on {types}"),
        "_._" => "a member is asked of something that has none".into(),
        _ => {
            let symbol = operator.trim_matches(['_', '@']);
            let call = if symbol.chars().all(char::is_alphanumeric) && symbol != "in" { "()" } else { "" };
            format!("{symbol}{call} does not work on {types}")
        }
    }
}

/// A CEL type in plain words.
pub(crate) fn kind(name: &str) -> &str {
    match name {
        "int" | "uint" => "a whole number",
        "double" => "a decimal number",
        "string" => "text",
        "bool" => "true or false",
        "null_type" => "null",
        "list" => "a list",
        "map" => "a map",
        "iterable" => "a list or a map",
        other => other,
    }
}
