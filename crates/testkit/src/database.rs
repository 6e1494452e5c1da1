//! Empty databases, of either kind, for tests that must hold on both.

use std::sync::Arc;

use anyhow::Result;

use crate::postgres::Postgres;
use crate::scratch::Scratch;

/// An empty database, there until it is dropped.
pub struct Database {
    url: String,
    _held: Held,
}

enum Held {
    File { _folder: Scratch },
    Server { _server: Arc<Postgres> },
}

impl Database {
    /// SQLite, in a folder of its own.
    pub fn sqlite() -> Result<Self> {
        let folder = Scratch::new("database", None)?;
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        Ok(Self { url, _held: Held::File { _folder: folder } })
    }

    /// PostgreSQL, on a server that the tests of this process share.
    pub fn postgres() -> Result<Self> {
        let server = Postgres::shared()?;
        Ok(Self { url: server.fresh_database()?, _held: Held::Server { _server: server } })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Runs each test of each module on SQLite and on PostgreSQL: `crate::Database; keys { a_test another }` calls
/// `keys::a_test(database)` with one that `sqlite()` or `postgres()` of that type has made.
#[macro_export]
macro_rules! conformance {
    ($database:ty; $($module:ident { $($test:ident)* })*) => {
        mod on_sqlite {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::super::$module::$test(<$database>::sqlite()).await;
                })*
            })*
        }

        mod on_postgres {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::super::$module::$test(<$database>::postgres()).await;
                })*
            })*
        }
    };
}
