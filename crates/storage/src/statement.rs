//! Running one statement on either driver.

use sqlx::{PgConnection, SqliteConnection};

use crate::{Error, FromRow, Row, Value, postgres, sqlite, value};

/// A borrowed connection.
pub(crate) enum Connection<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Connection<'_> {
    /// Rows changed.
    pub(crate) async fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, Error> {
        value::check(params)?;
        match self {
            Self::Sqlite(connection) => {
                sqlite::query(sql, params).execute(&mut **connection).await.map(|r| r.rows_affected())
            }
            Self::Postgres(connection) => {
                postgres::query(sql, params)?.execute(&mut **connection).await.map(|r| r.rows_affected())
            }
        }
        .map_err(|error| Error::of(&error, sql))
    }

    /// All rows.
    pub(crate) async fn all(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, Error> {
        value::check(params)?;
        match self {
            Self::Sqlite(connection) => {
                let rows = sqlite::query(sql, params).fetch_all(&mut **connection).await;
                sqlite::rows(&rows.map_err(|error| Error::of(&error, sql))?)
            }
            Self::Postgres(connection) => {
                let rows = postgres::query(sql, params)?.fetch_all(&mut **connection).await;
                postgres::rows(&rows.map_err(|error| Error::of(&error, sql))?)
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn first(&mut self, sql: &'static str, params: &[Value]) -> Result<Option<Row>, Error> {
        value::check(params)?;
        let rows = match self {
            Self::Sqlite(connection) => {
                let row = sqlite::query(sql, params).fetch_optional(&mut **connection).await;
                sqlite::rows(row.map_err(|error| Error::of(&error, sql))?.as_slice())?
            }
            Self::Postgres(connection) => {
                let row = postgres::query(sql, params)?.fetch_optional(&mut **connection).await;
                postgres::rows(row.map_err(|error| Error::of(&error, sql))?.as_slice())?
            }
        };
        Ok(rows.into_iter().next())
    }

    /// Several statements without parameters.
    pub(crate) async fn script(&mut self, sql: String) -> Result<(), Error> {
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone()));
        match self {
            Self::Sqlite(connection) => script.execute(&mut **connection).await.map(|_| ()),
            Self::Postgres(connection) => script.execute(&mut **connection).await.map(|_| ()),
        }
        .map_err(|error| Error::of(&error, &sql))
    }
}

pub(crate) fn read_all<T: FromRow>(rows: &[Row]) -> Result<Vec<T>, Error> {
    rows.iter().map(T::from_row).collect()
}

pub(crate) fn read_first<T: FromRow>(row: Option<&Row>) -> Result<Option<T>, Error> {
    row.map(T::from_row).transpose()
}

pub(crate) fn read_one<T: FromRow>(row: Option<&Row>, sql: &str) -> Result<T, Error> {
    row.map_or_else(|| Err(Error::NoRow(sql.to_owned())), T::from_row)
}
