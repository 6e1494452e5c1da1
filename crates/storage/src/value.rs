//! What goes into a statement and comes out of a row.

use crate::Error;

/// A value both databases can keep.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// A whole number.
    Int(i64),
    /// A floating-point number; not a NaN.
    Float(f64),
    /// Text without NUL characters.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// True or false. SQLite keeps it as 1 or 0.
    Bool(bool),
}

/// The parameters of a statement, for `$1`, `$2` and so on. [`params!`](crate::params) makes them.
pub type Params = Vec<Value>;

/// Makes [`Params`](crate::Params) from anything that is `Into<Value>`: `params![id, "new", None::<i64>]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        <[$crate::Value]>::into_vec(::std::boxed::Box::new([$($crate::Value::from($value)),*]))
    };
}

impl Value {
    /// What kind of value this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a floating-point number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Bool(_) => "a boolean",
        }
    }
}

/// Refuses what only one of the two databases would take, so that both give the same answer.
pub(crate) fn check(params: &[Value]) -> Result<(), Error> {
    for (index, value) in params.iter().enumerate() {
        let fault = match value {
            Value::Text(text) if text.contains('\0') => "text with a NUL character",
            Value::Float(number) if number.is_nan() => "a number that is not a number (NaN)",
            _ => continue,
        };
        return Err(Error::Invalid(format!("parameter ${} is {fault}", index + 1)));
    }
    Ok(())
}

macro_rules! from {
    ($($type:ty => |$value:ident| $into:expr;)*) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $into
            }
        })*
    };
}

from! {
    i64 => |value| Self::Int(value);
    i32 => |value| Self::Int(value.into());
    u32 => |value| Self::Int(value.into());
    f64 => |value| Self::Float(value);
    bool => |value| Self::Bool(value);
    String => |value| Self::Text(value);
    &str => |value| Self::Text(value.to_owned());
    &String => |value| Self::Text(value.clone());
    Vec<u8> => |value| Self::Bytes(value);
    &[u8] => |value| Self::Bytes(value.to_owned());
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_takes_mixed_types() {
        let made = params![1_i64, 2_u32, "three", None::<i64>, Some(true), 0.5, vec![6_u8]];
        let wanted = vec![
            Value::Int(1),
            Value::Int(2),
            Value::Text("three".to_owned()),
            Value::Null,
            Value::Bool(true),
            Value::Float(0.5),
            Value::Bytes(vec![6]),
        ];
        assert_eq!(made, wanted);
        assert_eq!(params![], Params::new());
    }

    #[test]
    fn what_one_database_would_refuse_is_refused_for_both() {
        assert!(check(&params!["fine", 1.5, f64::INFINITY]).is_ok());
        let error = check(&params![1_i64, "nul\0"]).unwrap_err();
        assert!(error.to_string().contains("$2"), "{error}");
        assert!(check(&params![f64::NAN]).is_err());
    }
}
