//! The store: one handle for both databases.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::options::Location;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::statement::{Connection, read_all, read_first, read_one};
use crate::work::Job;
use crate::{Dialect, Error, FromRow, Migration, Options, Params, Row, Tx, migration};

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Store(Backend);

#[derive(Clone)]
enum Backend {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

impl Store {
    /// Opens the database and checks that it can be written.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let backend = match options.location()? {
            Location::Sqlite(path) => Backend::Sqlite(Arc::new(Sqlite::open(&path, &options).await?)),
            Location::Postgres => Backend::Postgres(Arc::new(Postgres::open(&options).await?)),
        };
        Ok(Self(backend))
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        match self.0 {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs those of the owner's migrations that have not run yet, all in one transaction. Refuses when one that ran
    /// was changed, or is not in the list. Several processes may start at once.
    pub async fn migrate(&self, owner: &str, migrations: &[Migration]) -> Result<(), Error> {
        let owner = owner.to_owned();
        let migrations = migrations.to_vec();
        self.submit(
            move |tx| Box::pin(async move { migration::run(tx, &owner, &migrations).await }),
            Some(migration::LIMIT),
        )
        .await
    }

    /// All rows. Sees every acknowledged write; may not write itself.
    pub async fn fetch_all<T: FromRow>(&self, sql: &'static str, params: Params) -> Result<Vec<T>, Error> {
        match &self.0 {
            Backend::Sqlite(sqlite) => {
                read_all(&sqlite.reader().await?.connection().all(sql, &params).await?)
            }
            Backend::Postgres(postgres) => {
                let mut connection = postgres.reader().await?;
                let rows =
                    postgres.bounded(async { Connection::Postgres(&mut connection).all(sql, &params).await });
                read_all(&rows.await?)
            }
        }
    }

    /// The first row, if there is one. Sees every acknowledged write; may not write itself.
    pub async fn fetch_optional<T: FromRow>(
        &self,
        sql: &'static str,
        params: Params,
    ) -> Result<Option<T>, Error> {
        read_first(self.first(sql, params).await?.as_ref())
    }

    /// The first row; [`Error::NoRow`] without one. Sees every acknowledged write; may not write itself.
    pub async fn fetch_one<T: FromRow>(&self, sql: &'static str, params: Params) -> Result<T, Error> {
        read_one(self.first(sql, params).await?.as_ref(), sql)
    }

    /// Runs the closure in a transaction, and returns its result after the commit: what is acknowledged is kept. On an
    /// error or a panic its changes, and only its, are rolled back. It runs to its end even if the caller goes away.
    ///
    /// Await nothing but `tx` in the closure: on SQLite all other writes wait for it.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.submit(work, None).await
    }

    /// A write of one statement: rows changed.
    pub async fn execute(&self, sql: &'static str, params: Params) -> Result<u64, Error> {
        self.write(move |tx| Box::pin(tx.execute(sql, params))).await
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.ping().await,
            Backend::Postgres(postgres) => postgres.ping().await,
        }
    }

    /// How many commits there have been since the store was opened. Writes that share one count once.
    pub fn commits(&self) -> u64 {
        match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.commits(),
            Backend::Postgres(postgres) => postgres.commits(),
        }
    }

    /// Refuses new work, waits for what was accepted, and closes every connection.
    pub async fn close(&self) {
        match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.close().await,
            Backend::Postgres(postgres) => postgres.close().await,
        }
    }

    async fn submit<T, E, F>(&self, work: F, limit: Option<Duration>) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (job, answer) = Job::new(work, limit);
        match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.submit(job)?,
            Backend::Postgres(postgres) => postgres.submit(job)?,
        }
        // The other end is dropped only when the runtime is shut down around it.
        answer.await.unwrap_or_else(|_| Err(E::from(Error::closed())))
    }

    async fn first(&self, sql: &'static str, params: Params) -> Result<Option<Row>, Error> {
        match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.reader().await?.connection().first(sql, &params).await,
            Backend::Postgres(postgres) => {
                let mut connection = postgres.reader().await?;
                postgres
                    .bounded(async { Connection::Postgres(&mut connection).first(sql, &params).await })
                    .await
            }
        }
    }
}
