//! One transaction, as the closure of a write sees it.

use std::sync::Arc;
use std::time::Instant;

use sqlx::pool::PoolConnection;
use sqlx::{Postgres, SqliteConnection};

use crate::feed::{Hub, Ledger, schema};
use crate::statement::{Connection, read_all, read_first, read_one};
use crate::work::Kind;
use crate::{Change, Dialect, Error, FromRow, Params, Row, members, params};

/// A transaction under way; [`Store::write`](crate::Store::write) makes and ends it.
///
/// After a statement failed, the transaction can only be given up: every further statement is refused, and a closure
/// that returns `Ok` all the same is answered with the error. (PostgreSQL demands it; SQLite is made to agree.) Where a
/// conflict is expected, say `ON CONFLICT` in the statement.
pub struct Tx {
    held: Held,
    failed: Option<Error>,
    ledger: Ledger,
    hub: Arc<Hub>,
}

enum Held {
    Sqlite(SqliteConnection),
    Postgres(PoolConnection<Postgres>),
}

impl Tx {
    pub(crate) fn sqlite(connection: SqliteConnection, hub: Arc<Hub>) -> Self {
        Self { held: Held::Sqlite(connection), failed: None, ledger: Ledger::default(), hub }
    }

    pub(crate) fn postgres(connection: PoolConnection<Postgres>, hub: Arc<Hub>) -> Self {
        Self { held: Held::Postgres(connection), failed: None, ledger: Ledger::default(), hub }
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

    /// Says, as a part of this transaction, that what has this key changed; the key has 1 to 1024 bytes, the topic 1
    /// to 64. Returns the revision of the change, which may be stored with what was changed: it is the one that readers
    /// of the [feed](crate::feed) see, unless this write is not committed; then another change gets it.
    ///
    /// Only in [`Store::write_ordered`](crate::Store::write_ordered). In a plain write it is refused on either
    /// database, since there the commits of different nodes would come in another order than their revisions.
    pub async fn announce(
        &mut self,
        topic: &'static str,
        key: impl Into<String> + Send,
    ) -> Result<u64, Error> {
        self.usable()?;
        let key = key.into();
        let max = self.hub.options.max_announced;
        let base = self.base().await?;
        let revision = self.ledger.announce(base, topic, key, max);
        self.note(revision)
    }

    /// The revision that the next [announcement](Self::announce) will have, if this write makes one.
    pub async fn next_revision(&mut self) -> Result<u64, Error> {
        self.usable()?;
        let base = self.base().await?;
        Ok(self.ledger.next(base))
    }

    async fn base(&mut self) -> Result<u64, Error> {
        match self.ledger.base() {
            None if self.ledger.is_ordered() => self.take_head().await,
            base => Ok(base.unwrap_or_default()),
        }
    }

    /// Aborts this transaction with [`Error::NotLive`] unless the node is a member, and the list of members still has this
    /// number, the one under which the node decided to write: see [`members`](crate::members). Until this transaction
    /// ends, nobody can declare the node dead, join or leave. (Only for stores that were
    /// [joined](crate::members::Members::join).)
    pub async fn require_live(&mut self, node_id: &str, epoch: u64) -> Result<(), Error> {
        let live = members::require(self, node_id, epoch).await;
        self.note(live)
    }

    /// Reads the head. On PostgreSQL, whoever does so after this waits for the end of this transaction.
    pub(crate) async fn take_head(&mut self) -> Result<u64, Error> {
        let head = self.fetch_one(schema::take_head(self.dialect()), params![]).await?;
        // Under the lock nobody can be further than the table.
        self.hub.check_base(head);
        self.ledger.set_base(head);
        Ok(head)
    }

    /// A new piece of work begins.
    pub(crate) fn begin_work(&mut self, kind: Kind) {
        self.ledger.begin_work(kind == Kind::Ordered);
    }

    /// Forgets what the present piece of work announced.
    pub(crate) fn take_back_announced(&mut self) {
        self.ledger.take_back();
    }

    /// Writes what was announced; the last thing before the commit.
    pub(crate) async fn write_announced(&mut self) -> Result<(), Error> {
        let (Some(base), Some(last)) = (self.ledger.base(), self.ledger.announced().last()) else {
            return Ok(());
        };
        let (head, list) = (last.revision, schema::list(self.ledger.announced()));
        match self.dialect() {
            Dialect::Sqlite => {
                self.execute(schema::ANNOUNCE_SQLITE, params![list]).await?;
                self.execute(schema::HEAD_SQLITE, params![schema::int(head)]).await?;
            }
            Dialect::Postgres => {
                self.execute(schema::ANNOUNCE_POSTGRES, params![list, schema::int(head)]).await?;
            }
        }
        if self.hub.trim_is_due(base, head, Instant::now()) {
            let below = head.saturating_sub(self.hub.options.kept_rows);
            let params = schema::trim_params(below, self.hub.options.kept_for);
            self.execute(schema::trim(self.dialect()), params).await?;
        }
        Ok(())
    }

    /// The transaction was committed, or given up: what it announced.
    pub(crate) fn take_announced(&mut self) -> Vec<Change> {
        self.ledger.take()
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
