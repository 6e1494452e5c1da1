//! One transaction, as the closure of a write sees it.

use sqlx::pool::PoolConnection;
use sqlx::{Postgres, SqliteConnection};

use crate::statement::{Connection, read_all, read_first, read_one};
use crate::{Dialect, Error, FromRow, Params, Row, params};

/// A transaction under way; [`Store::write`](crate::Store::write) makes and ends it.
///
/// After a statement failed, the transaction can only be given up: every further statement is refused, and a closure
/// that returns `Ok` all the same is answered with the error. (PostgreSQL demands it; SQLite is made to agree.) Where a
/// conflict is expected, say `ON CONFLICT` in the statement.
pub struct Tx {
    held: Held,
    failed: Option<Error>,
}

enum Held {
    Sqlite(SqliteConnection),
    Postgres(PoolConnection<Postgres>),
}

impl Tx {
    pub(crate) fn sqlite(connection: SqliteConnection) -> Self {
        Self { held: Held::Sqlite(connection), failed: None }
    }

    pub(crate) fn postgres(connection: PoolConnection<Postgres>) -> Self {
        Self { held: Held::Postgres(connection), failed: None }
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        match self.held {
            Held::Sqlite(_) => Dialect::Sqlite,
            Held::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement: rows changed.
    pub async fn execute(&mut self, sql: &'static str, params: Params) -> Result<u64, Error> {
        self.usable()?;
        let done = self.connection().execute(sql, &params).await;
        self.note(done)
    }

    /// All rows.
    pub async fn fetch_all<T: FromRow>(
        &mut self,
        sql: &'static str,
        params: Params,
    ) -> Result<Vec<T>, Error> {
        self.usable()?;
        let rows = self.connection().all(sql, &params).await;
        read_all(&self.note(rows)?)
    }

    /// The first row, if there is one.
    pub async fn fetch_optional<T: FromRow>(
        &mut self,
        sql: &'static str,
        params: Params,
    ) -> Result<Option<T>, Error> {
        read_first(self.first(sql, params).await?.as_ref())
    }

    /// The first row; [`Error::NoRow`] without one.
    pub async fn fetch_one<T: FromRow>(&mut self, sql: &'static str, params: Params) -> Result<T, Error> {
        read_one(self.first(sql, params).await?.as_ref(), sql)
    }

    /// Waits until no other transaction holds the lock of this name, and holds it until this one ends. Take it before
    /// reading what is to be changed by a later statement: PostgreSQL would let another transaction in between. (On
    /// SQLite there is never another, so nothing is done.)
    pub async fn lock(&mut self, name: &str) -> Result<(), Error> {
        match self.dialect() {
            Dialect::Sqlite => Ok(()),
            Dialect::Postgres => self
                .execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", params![name])
                .await
                .map(|_| ()),
        }
    }

    /// Runs several statements.
    pub(crate) async fn script(&mut self, sql: String) -> Result<(), Error> {
        self.usable()?;
        let done = self.connection().script(sql).await;
        self.note(done)
    }

    /// Runs a statement that begins, ends or divides the transaction.
    pub(crate) async fn control(&mut self, sql: &str) -> Result<(), Error> {
        self.connection().script(sql.to_owned()).await
    }

    /// The error that spoilt the transaction, if one did. The next piece of work starts clean.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.failed.take()
    }

    /// Closes the connection, whatever state it is in.
    pub(crate) fn discard(self) {
        match self.held {
            // Neither waits for long: the driver drops its thread, or the socket.
            Held::Sqlite(connection) => drop(connection),
            Held::Postgres(connection) => drop(connection.detach()),
        }
    }

    /// Closes the connection in order.
    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        match self.held {
            Held::Sqlite(connection) => sqlx::Connection::close(connection).await,
            Held::Postgres(connection) => connection.close().await,
        }
    }

    async fn first(&mut self, sql: &'static str, params: Params) -> Result<Option<Row>, Error> {
        self.usable()?;
        let row = self.connection().first(sql, &params).await;
        self.note(row)
    }

    fn connection(&mut self) -> Connection<'_> {
        match &mut self.held {
            Held::Sqlite(connection) => Connection::Sqlite(connection),
            Held::Postgres(connection) => Connection::Postgres(connection),
        }
    }

    fn usable(&self) -> Result<(), Error> {
        match &self.failed {
            None => Ok(()),
            Some(error) => {
                Err(Error::Statement(format!("an earlier statement of this transaction failed: {error}")))
            }
        }
    }

    fn note<T>(&mut self, done: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &done {
            self.failed = Some(error.clone());
        }
        done
    }
}
