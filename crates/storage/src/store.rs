//! The store: one handle for both databases.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::feed::{Hub, Page, schema};
use crate::options::Location;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::statement::{Connection, read_all, read_first, read_one};
use crate::work::{Job, Kind};
use crate::{
    Dialect, Error, Feed, FeedState, FromRow, Migration, Options, Params, Row, Tx, migration, params,
};

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    hub: Arc<Hub>,
}

#[derive(Clone)]
enum Backend {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

impl Store {
    /// Opens the database and checks that it can be written.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let hub = Arc::new(Hub::new(options.feed.clone()));
        let backend = match options.location()? {
            Location::Sqlite(path) => {
                Backend::Sqlite(Arc::new(Sqlite::open(&path, &options, hub.clone()).await?))
            }
            Location::Postgres => Backend::Postgres(Arc::new(Postgres::open(&options, hub.clone()).await?)),
        };
        Ok(Self { backend, hub })
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        match self.backend {
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
            Kind::Plain,
            Some(migration::LIMIT),
        )
        .await
    }

    /// All rows. Sees every acknowledged write; may not write itself.
    pub async fn fetch_all<T: FromRow>(&self, sql: &'static str, params: Params) -> Result<Vec<T>, Error> {
        match &self.backend {
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
        self.submit(work, Kind::Plain, None).await
    }

    /// Like [`write`](Self::write), but with a place in the one order of all nodes that share the database, and allowed to
    /// [announce](Tx::announce) what it changes.
    ///
    /// Ordered writes of all nodes take effect as if one ran after the other, each seeing all that those before it
    /// did; so what one reads it may rely on until it ends, if only ordered writes change it. On SQLite every write is
    /// so. On PostgreSQL they wait for each other, by the lock on the head of the feed; those of one node that wait
    /// together share a transaction, and each that fails is rolled back alone. Keep them short, and the rest in plain
    /// writes.
    ///
    /// An error for which [`Error::outcome_unknown`] holds means that the answer to the commit was lost: the write
    /// was kept, or it was not. All others mean that nothing was changed.
    pub async fn write_ordered<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.prepare().await?;
        self.submit(work, Kind::Ordered, None).await
    }

    /// The changes after a revision, in their order: see [`feed`](crate::feed). Zero is before the first.
    pub async fn feed(&self, from: u64) -> Result<Feed, Error> {
        self.prepare().await?;
        if let Backend::Postgres(postgres) = &self.backend {
            postgres.listen();
        }
        Ok(Feed::new(self.clone(), from))
    }

    /// The newest revision, asked from the database. Zero before the first announcement.
    pub async fn head(&self) -> Result<u64, Error> {
        self.prepare().await?;
        let head = self.fetch_one(schema::HEAD, params![]).await?;
        Ok(head)
    }

    /// The newest revision that this process has heard of; zero before the first use of the feed.
    pub fn revision(&self) -> u64 {
        self.hub.mark().head
    }

    /// How the feed is, for health checks and metrics.
    pub fn feed_state(&self) -> FeedState {
        self.hub.state()
    }

    /// A write of one statement: rows changed.
    pub async fn execute(&self, sql: &'static str, params: Params) -> Result<u64, Error> {
        self.write(move |tx| Box::pin(tx.execute(sql, params))).await
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.ping().await,
            Backend::Postgres(postgres) => postgres.ping().await,
        }
    }

    /// How many commits there have been since the store was opened. Writes that share one count once.
    pub fn commits(&self) -> u64 {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.commits(),
            Backend::Postgres(postgres) => postgres.commits(),
        }
    }

    /// How many writes may wait; more are refused.
    pub fn max_waiting_writes(&self) -> usize {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.max_waiting_writes(),
            Backend::Postgres(postgres) => postgres.max_waiting_writes(),
        }
    }

    /// Refuses new work, waits for what was accepted, and closes every connection.
    pub async fn close(&self) {
        self.hub.close();
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.close().await,
            Backend::Postgres(postgres) => postgres.close().await,
        }
    }

    /// Makes the tables of the feed when they are first needed: most stores have none.
    async fn prepare(&self) -> Result<(), Error> {
        let prepare = async || {
            self.migrate(schema::OWNER, schema::MIGRATIONS).await?;
            let head = self.fetch_one(schema::HEAD, params![]).await?;
            self.hub.begin_at(head);
            Ok(())
        };
        self.hub.prepared.get_or_try_init(prepare).await.copied()
    }

    /// A plain write of a lease, given up after this long.
    pub(crate) async fn write_lease<T, F>(&self, limit: Duration, work: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
        T: Send + 'static,
    {
        self.submit(work, Kind::Lease, Some(limit)).await
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// A page of the table of the feed.
    pub(crate) async fn page(&self, from: u64, limit: usize) -> Result<Page, Error> {
        let params = Page::params(from, limit);
        let rows = match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.reader().await?.connection().all(Page::SQL, &params).await?,
            Backend::Postgres(postgres) => {
                let mut connection = postgres.reader().await?;
                postgres
                    .bounded(async { Connection::Postgres(&mut connection).all(Page::SQL, &params).await })
                    .await?
            }
        };
        Page::read(&rows)
    }

    async fn submit<T, E, F>(&self, work: F, kind: Kind, limit: Option<Duration>) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (job, answer) = Job::new(work, kind, limit);
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.submit(job)?,
            Backend::Postgres(postgres) => postgres.submit(job)?,
        }
        // The other end is dropped only when the runtime is shut down around it.
        answer.await.unwrap_or_else(|_| Err(E::from(Error::closed())))
    }

    async fn first(&self, sql: &'static str, params: Params) -> Result<Option<Row>, Error> {
        match &self.backend {
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
