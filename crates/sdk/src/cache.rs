//! The optional Redis cache.

use std::sync::Arc;
use std::time::Duration;

use redis::AsyncCommands;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use trellis_core::error::Result;
use trellis_core::{Error, codes};

/// A shared cache. It connects on first use and again after a failure; every call is bounded in time, and a caller is
/// expected to go on without the cache when it fails.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    client: redis::Client,
    connection: OnceCell<ConnectionManager>,
    timeout: Duration,
}

impl Cache {
    /// A cache at `url` (`redis://host:port/db`). Nothing is connected yet; only the URL is checked.
    pub fn new(url: &str, timeout: Duration) -> Result<Self> {
        // The URL may hold a password, so it is not repeated.
        let client = redis::Client::open(url)
            .map_err(|_| Error::new(codes::INVALID_INPUT, "the cache's URL is not redis://host:port/db"))?;
        Ok(Self(Arc::new(Inner { client, connection: OnceCell::new(), timeout })))
    }

    /// The value under `key`, if it is there.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.bounded(async |mut c| c.get(key).await).await
    }

    /// Puts `value` under `key` for `lifetime` (at least a millisecond).
    pub async fn set(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        let millis = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX).max(1);
        self.bounded(async |mut c| c.pset_ex(key, value, millis).await).await
    }

    /// Removes `key`.
    pub async fn remove(&self, key: &str) -> Result<()> {
        self.bounded(async |mut c| c.del(key).await).await
    }

    /// Asks whether it is there.
    pub async fn ping(&self) -> Result<()> {
        self.bounded(async |mut c| c.ping().await).await
    }

    async fn bounded<T>(
        &self,
        work: impl AsyncFnOnce(ConnectionManager) -> redis::RedisResult<T>,
    ) -> Result<T> {
        let Inner { client, connection, timeout: limit } = &*self.0;
        let whole = async {
            let config =
                ConnectionManagerConfig::new().set_number_of_retries(1).set_connection_timeout(Some(*limit));
            let manager = connection
                .get_or_try_init(|| ConnectionManager::new_with_config(client.clone(), config))
                .await?;
            work(manager.clone()).await
        };
        match timeout(*limit, whole).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(unavailable("the cache failed").because(error)),
            Err(_) => Err(unavailable("the cache did not answer in time")),
        }
    }
}

fn unavailable(what: &'static str) -> Error {
    Error::new(codes::DEPENDENCY_UNAVAILABLE, what)
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache")
    }
}
