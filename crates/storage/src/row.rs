//! Rows, and how Rust types are read from them.

use std::sync::Arc;

use crate::{Error, Value};

/// One row of an answer.
#[derive(Debug, Clone)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

/// A type that one column is read as.
pub trait FromValue: Sized {
    /// Reads it; `None` when the value is of another kind or out of range.
    fn from_value(value: Value) -> Option<Self>;

    /// What was hoped for, for messages.
    fn wanted() -> &'static str;
}

/// A type that a whole row is read as.
pub trait FromRow: Sized {
    /// Reads it.
    fn from_row(row: &Row) -> Result<Self, Error>;
}

impl Row {
    pub(crate) fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// The value of the named column; letter case does not matter.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, Error> {
        let index =
            self.columns.iter().position(|name| name.eq_ignore_ascii_case(column)).ok_or_else(|| {
                Error::Decode(format!("there is no column `{column}`, only: {}", self.columns.join(", ")))
            })?;
        self.at(index)
    }

    /// The value of the column at this place, counted from 0.
    pub fn at<T: FromValue>(&self, index: usize) -> Result<T, Error> {
        let value = self.values.get(index).ok_or_else(|| {
            Error::Decode(format!("there is no column {index}, the row has {}", self.values.len()))
        })?;
        T::from_value(value.clone()).ok_or_else(|| {
            let name = self.columns.get(index).map_or("?", String::as_str);
            Error::Decode(format!("column `{name}` holds {}, wanted {}", value.kind(), T::wanted()))
        })
    }
}

macro_rules! readable {
    ($($type:ty, $wanted:literal, $($pattern:pat => $value:expr),+;)*) => {
        $(
            impl FromValue for $type {
                fn from_value(value: Value) -> Option<Self> {
                    match value {
                        $($pattern => $value,)+
                        _ => None,
                    }
                }

                fn wanted() -> &'static str {
                    $wanted
                }
            }

            impl FromRow for $type {
                fn from_row(row: &Row) -> Result<Self, Error> {
                    row.at(0)
                }
            }
        )*
    };
}

readable! {
    i64, "a whole number", Value::Int(n) => Some(n);
    i32, "a whole number of 32 bits", Value::Int(n) => n.try_into().ok();
    u32, "a whole number from 0 of 32 bits", Value::Int(n) => n.try_into().ok();
    u64, "a whole number from 0", Value::Int(n) => n.try_into().ok();
    f64, "a number", Value::Float(n) => Some(n), Value::Int(n) => Some(n as f64);
    // SQLite has no boolean of its own.
    bool, "a boolean", Value::Bool(b) => Some(b), Value::Int(0) => Some(false), Value::Int(1) => Some(true);
    String, "text", Value::Text(text) => Some(text);
    Vec<u8>, "bytes", Value::Bytes(bytes) => Some(bytes);
}

impl FromValue for Value {
    fn from_value(value: Value) -> Option<Self> {
        Some(value)
    }

    fn wanted() -> &'static str {
        "any value"
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }

    fn wanted() -> &'static str {
        T::wanted()
    }
}

impl<T: FromValue> FromRow for Option<T> {
    fn from_row(row: &Row) -> Result<Self, Error> {
        row.at(0)
    }
}

macro_rules! tuples {
    ($(($($type:ident $index:tt),+))*) => {
        $(impl<$($type: FromValue),+> FromRow for ($($type,)+) {
            fn from_row(row: &Row) -> Result<Self, Error> {
                Ok(($(row.at($index)?,)+))
            }
        })*
    };
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params;

    fn row() -> Row {
        let columns: Vec<String> = ["id", "Name", "price", "paid", "note"].map(str::to_owned).into();
        Row::new(columns.into(), params![7_i64, "Ada", 2_i64, 1_i64, None::<String>])
    }

    #[test]
    fn columns_are_read_by_name_and_place() {
        let row = row();
        assert_eq!(row.get::<i64>("id").unwrap(), 7);
        assert_eq!(row.get::<String>("name").unwrap(), "Ada");
        assert!(row.get::<bool>("paid").unwrap());
        assert!((row.get::<f64>("price").unwrap() - 2.0).abs() < f64::EPSILON);
        assert_eq!(row.get::<Option<String>>("note").unwrap(), None);
        assert_eq!(<(i64, String)>::from_row(&row).unwrap(), (7, "Ada".to_owned()));
    }

    #[test]
    fn errors_name_the_column_and_what_was_wanted() {
        let row = row();
        assert!(row.get::<i64>("email").unwrap_err().to_string().contains("`email`"));
        assert!(row.at::<i64>(9).unwrap_err().to_string().contains("no column 9"));
        let error = row.get::<i64>("note").unwrap_err().to_string();
        assert!(error.contains("`note` holds NULL, wanted a whole number"), "{error}");
        assert!(row.get::<bool>("id").is_err(), "only 0 and 1 are booleans");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let columns: Arc<[String]> = vec!["n".to_owned()].into();
        let row = Row::new(columns, params![-1_i64]);
        assert!(row.at::<u32>(0).is_err());
        assert!(row.at::<u64>(0).is_err());
        assert_eq!(row.at::<i32>(0).unwrap(), -1);
    }
}
