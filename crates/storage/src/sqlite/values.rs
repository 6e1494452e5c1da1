//! Values to and from SQLite.

use std::sync::Arc;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow, SqliteValueRef};
use sqlx::{Column, Decode, Row as _, Sqlite, TypeInfo, ValueRef};

use crate::{Error, Row, Value};

/// The statement with its parameters bound.
pub(crate) fn query<'q>(sql: &'static str, params: &'q [Value]) -> Query<'q, Sqlite, SqliteArguments> {
    params.iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Null => query.bind(None::<i64>),
        Value::Int(n) => query.bind(*n),
        Value::Float(n) => query.bind(*n),
        Value::Text(text) => query.bind(text.as_str()),
        Value::Bytes(bytes) => query.bind(bytes.as_slice()),
        Value::Bool(b) => query.bind(*b),
    })
}

pub(crate) fn rows(rows: &[SqliteRow]) -> Result<Vec<Row>, Error> {
    let Some(first) = rows.first() else {
        return Ok(Vec::new());
    };
    let columns: Arc<[String]> = first.columns().iter().map(|column| column.name().to_owned()).collect();
    rows.iter()
        .map(|row| {
            let values = (0..columns.len()).map(|index| value(row, index)).collect::<Result<_, _>>();
            values
                .map(|values| Row::new(columns.clone(), values))
                .map_err(|error| Error::Decode(error.to_string()))
        })
        .collect()
}

/// Reads what is stored, whatever the column was declared as.
fn value(row: &SqliteRow, index: usize) -> Result<Value, sqlx::Error> {
    let raw: SqliteValueRef<'_> = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info().name().to_owned();
    let value = match kind.as_str() {
        "REAL" => <f64 as Decode<'_, Sqlite>>::decode(raw).map(Value::Float),
        "TEXT" => <String as Decode<'_, Sqlite>>::decode(raw).map(Value::Text),
        "BLOB" => <Vec<u8> as Decode<'_, Sqlite>>::decode(raw).map(Value::Bytes),
        _ => <i64 as Decode<'_, Sqlite>>::decode(raw).map(Value::Int),
    };
    value.map_err(sqlx::Error::Decode)
}
