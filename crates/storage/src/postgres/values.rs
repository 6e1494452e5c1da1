//! Values to and from PostgreSQL.

use std::sync::Arc;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgRow, PgTypeInfo, PgValueRef};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, Decode, Encode, Postgres, Row as _, Type, TypeInfo, ValueRef};

use super::numeric;
use crate::{Error, Row, Value};

/// A null whose type the server finds out.
struct Null;

impl Type<Postgres> for Null {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for Null {
    fn encode_by_ref(&self, _: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Ok(IsNull::Yes)
    }
}

/// The statement with its parameters bound.
pub(crate) fn query<'q>(
    sql: &'static str,
    params: &'q [Value],
) -> Result<Query<'q, Postgres, PgArguments>, Error> {
    let mut query = sqlx::query(AssertSqlSafe(tagged(sql, params)));
    for value in params {
        let bound = match value {
            Value::Null => query.try_bind(Null),
            Value::Int(n) => query.try_bind(*n),
            Value::Float(n) => query.try_bind(*n),
            Value::Text(text) => query.try_bind(text.as_str()),
            Value::Bytes(bytes) => query.try_bind(bytes.as_slice()),
            Value::Bool(b) => query.try_bind(*b),
        };
        bound.map_err(|error| Error::Invalid(error.to_string()))?;
    }
    Ok(query)
}

/// The driver keeps prepared statements by their text alone, and a statement first prepared with other types of
/// parameters would misread the bytes. So the types are made a part of the text.
fn tagged(sql: &str, params: &[Value]) -> String {
    let mut text = String::with_capacity(sql.len() + params.len() + 4);
    text.push_str(sql);
    if !params.is_empty() {
        text.push_str("\n--");
        text.extend(params.iter().map(|value| match value {
            Value::Null => 'n',
            Value::Int(_) => 'i',
            Value::Float(_) => 'f',
            Value::Text(_) => 't',
            Value::Bytes(_) => 'x',
            Value::Bool(_) => 'b',
        }));
    }
    text
}

pub(crate) fn rows(rows: &[PgRow]) -> Result<Vec<Row>, Error> {
    let Some(first) = rows.first() else {
        return Ok(Vec::new());
    };
    let columns: Arc<[String]> = first.columns().iter().map(|column| column.name().to_owned()).collect();
    rows.iter()
        .map(|row| {
            let values: Result<Vec<Value>, Error> = (0..columns.len())
                .map(|index| {
                    value(row, index)
                        .map_err(|error| Error::Decode(format!("column `{}`: {error}", columns[index])))
                })
                .collect();
            values.map(|values| Row::new(columns.clone(), values))
        })
        .collect()
}

fn value(row: &PgRow, index: usize) -> Result<Value, BoxDynError> {
    let raw: PgValueRef<'_> = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info().name().to_owned();
    match kind.as_str() {
        "BOOL" => <bool as Decode<'_, Postgres>>::decode(raw).map(Value::Bool),
        "INT2" => <i16 as Decode<'_, Postgres>>::decode(raw).map(|n| Value::Int(n.into())),
        "INT4" => <i32 as Decode<'_, Postgres>>::decode(raw).map(|n| Value::Int(n.into())),
        "INT8" => <i64 as Decode<'_, Postgres>>::decode(raw).map(Value::Int),
        "FLOAT4" => <f32 as Decode<'_, Postgres>>::decode(raw).map(|n| Value::Float(n.into())),
        "FLOAT8" => <f64 as Decode<'_, Postgres>>::decode(raw).map(Value::Float),
        "NUMERIC" => numeric::read(raw.as_bytes()?).ok_or_else(|| "a NUMERIC out of range".into()),
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "UNKNOWN" => {
            <&str as Decode<'_, Postgres>>::decode(raw).map(|text| Value::Text(text.to_owned()))
        }
        "BYTEA" => <Vec<u8> as Decode<'_, Postgres>>::decode(raw).map(Value::Bytes),
        "VOID" => Ok(Value::Null),
        other => {
            Err(format!("the type {other} is not one both databases have; CAST it to TEXT or BIGINT").into())
        }
    }
}
