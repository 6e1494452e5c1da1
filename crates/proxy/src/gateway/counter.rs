//! Where several gateways count together: Redis.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError};
use sha1::{Digest, Sha1};
use tokio::time::{Instant, timeout};
use tracing::warn;
use trellis_resilience::SharedRateLimit;

/// Longest wait for a count. A limit is there to protect; it must not become what everybody waits for.
const PATIENCE: Duration = Duration::from_millis(50);
/// After it was waited for in vain, nobody is asked for so long.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest wait for a connection, in the background of the requests that would like to have it.
const CONNECT: Duration = Duration::from_secs(1);

/// Runs [`SharedRateLimit::SCRIPT`].
pub(super) trait Counter: fmt::Debug + Send + Sync {
    /// Counts one request in the bucket with this name.
    fn count(&self, bucket: String, arguments: [u64; 2]) -> BoxFuture<'_, Result<Vec<i64>, NotCounted>>;
}

/// Nobody counted: it took too long, or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody counted")]
pub(super) struct NotCounted;

/// One Redis, over one connection that is made anew when it breaks.
pub(super) struct Redis {
    url: Box<str>,
    /// Of the script, by which Redis knows it.
    hash: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<ConnectionManager>,
    resumes: Option<Instant>,
}

impl Redis {
    pub(super) fn new(url: &str) -> Self {
        let hash = hex(&Sha1::digest(SharedRateLimit::SCRIPT));
        Self { url: url.into(), hash, state: Mutex::default() }
    }

    /// The connection, which begins to exist with the first request: it needs a runtime. None during a pause.
    fn connection(&self) -> Result<ConnectionManager, NotCounted> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.resumes.is_some_and(|resumes| Instant::now() < resumes) {
            return Err(NotCounted);
        }
        if state.connection.is_none() {
            let config = ConnectionManagerConfig::new()
                .set_number_of_retries(1)
                .set_connection_timeout(Some(CONNECT))
                .set_response_timeout(Some(CONNECT));
            let client = Client::open(&*self.url);
            let made = client.and_then(|client| ConnectionManager::new_lazy_with_config(client, config));
            state.connection = made.ok();
        }
        state.connection.clone().ok_or(NotCounted)
    }

    fn pause(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).resumes = Some(Instant::now() + PAUSE);
    }

    async fn run(
        &self,
        mut connection: ConnectionManager,
        bucket: &str,
        [interval, window]: [u64; 2],
    ) -> Result<Vec<i64>, RedisError> {
        let command = |name, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script).arg(1).arg(bucket).arg(interval).arg(window);
            command
        };
        match command("EVALSHA", &self.hash).query_async(&mut connection).await {
            // It was started anew since.
            Err(error) if error.code() == Some("NOSCRIPT") => {
                command("EVAL", SharedRateLimit::SCRIPT).query_async(&mut connection).await
            }
            other => other,
        }
    }
}

impl Counter for Redis {
    fn count(&self, bucket: String, arguments: [u64; 2]) -> BoxFuture<'_, Result<Vec<i64>, NotCounted>> {
        Box::pin(async move {
            let connection = self.connection()?;
            match timeout(PATIENCE, self.run(connection, &bucket, arguments)).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(error)) => warn!(%error, "a shared rate limit is not counted, and lets through"),
                Err(_) => warn!(after = ?PATIENCE, "a shared rate limit is not counted, and lets through"),
            }
            self.pause();
            Err(NotCounted)
        })
    }
}

/// As Redis writes hashes.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 0xf)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Without the URL, which may have a password in it.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}
