//! Databases to test on.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use trellis_storage::{Error, Options, Store, Tx, params};

/// How long a test waits for what must come.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// An empty database.
pub(crate) struct Database(trellis_testkit::Database);

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self(trellis_testkit::Database::sqlite().unwrap())
    }

    pub(crate) fn postgres() -> Self {
        Self(trellis_testkit::Database::postgres().unwrap())
    }

    pub(crate) fn options(&self) -> Options {
        Options::url(self.0.url()).unwrap()
    }

    pub(crate) async fn store(&self) -> Store {
        Store::open(self.options()).await.unwrap()
    }

    /// A store with the table `t (id, n, note)`.
    pub(crate) async fn store_with_table(&self) -> Store {
        let store = self.store().await;
        let sql = "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL CHECK (n >= 0), note TEXT)";
        store.execute(sql, params![]).await.unwrap();
        store
    }
}

pub(crate) async fn insert(store: &Store, id: i64) -> Result<u64, Error> {
    store.execute("INSERT INTO t (id, n) VALUES ($1, 0)", params![id]).await
}

pub(crate) async fn ids(store: &Store) -> Vec<i64> {
    store.fetch_all("SELECT id FROM t ORDER BY id", params![]).await.unwrap()
}

/// Gives a closure the type that `Store::write` wants, where the compiler cannot tell.
pub(crate) fn work<T, F>(work: F) -> F
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
{
    work
}

/// Asks again until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + LIMIT;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
