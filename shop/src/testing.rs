//! Databases for tests: the same tests run on SQLite and on PostgreSQL.

use std::sync::Arc;

use tempfile::TempDir;
use trellis_sdk::database::{Migration, Options, Store};
use trellis_testkit::Postgres;

/// A module's name and migrations.
pub(crate) type Tables = (&'static str, &'static [Migration]);

/// An open database, and what keeps it there.
pub(crate) struct Database {
    pub(crate) store: Store,
    _folder: Option<TempDir>,
    _server: Option<Arc<Postgres>>,
}

impl Database {
    /// A new file.
    pub(crate) async fn sqlite(tables: &[Tables]) -> Self {
        Self::sqlite_in(tempfile::tempdir().unwrap(), tables).await
    }

    /// A new file in memory where the machine has that, for tests that need many.
    pub(crate) async fn sqlite_in_memory(tables: &[Tables]) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::sqlite_in(folder.unwrap(), tables).await
    }

    async fn sqlite_in(folder: TempDir, tables: &[Tables]) -> Self {
        let store = open(Options::sqlite(&folder.path().join("test.db")), tables).await;
        Self { store, _folder: Some(folder), _server: None }
    }

    /// A new database on a real server.
    pub(crate) async fn postgres(tables: &[Tables]) -> Self {
        let server = Postgres::shared().unwrap();
        let url = server.fresh_database().unwrap();
        let store = open(Options::url(&url).unwrap(), tables).await;
        Self { store, _folder: None, _server: Some(server) }
    }
}

async fn open(options: Options, tables: &[Tables]) -> Store {
    let store = Store::open(options).await.unwrap();
    for (owner, migrations) in tables {
        store.migrate(owner, migrations).await.unwrap();
    }
    store
}

/// Makes two tests of each function: one on SQLite, one on PostgreSQL.
macro_rules! on_both_databases {
    ($tables:expr; $($test:ident),+ $(,)?) => {
        const SUITE_TABLES: &[crate::testing::Tables] = $tables;

        mod on_sqlite {
            $(#[tokio::test]
            async fn $test() {
                let database = crate::testing::Database::sqlite(super::SUITE_TABLES).await;
                super::$test(database.store.clone()).await;
            })+
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $test() {
                let database = crate::testing::Database::postgres(super::SUITE_TABLES).await;
                super::$test(database.store.clone()).await;
            })+
        }
    };
}

pub(crate) use on_both_databases;
