//! Idle connections by address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::{ConnectError, Connection, PoolOptions};
use crate::Body;

/// HTTP/1.1 connections to any number of addresses. Clones share them.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: PoolOptions,
    idle: Mutex<Idle>,
}

#[derive(Debug)]
struct Idle {
    by_authority: HashMap<Arc<str>, Vec<Kept>>,
    next_sweep: Instant,
}

#[derive(Debug)]
struct Kept {
    sender: SendRequest<Body>,
    since: Instant,
}

impl Pool {
    /// An empty pool.
    pub fn new(options: PoolOptions) -> Self {
        let next_sweep = Instant::now() + options.idle_timeout;
        Self(Arc::new(Inner { options, idle: Mutex::new(Idle { by_authority: HashMap::new(), next_sweep }) }))
    }

    /// An idle connection to `authority` (`host:port`), or a new one.
    pub async fn connection(&self, authority: &Arc<str>) -> Result<Connection, ConnectError> {
        match self.take(authority) {
            Some(sender) => Ok(Connection { sender, authority: authority.clone(), reused: true }),
            None => self.connect(authority).await,
        }
    }

    /// A new connection, whatever is idle.
    pub async fn connect(&self, authority: &Arc<str>) -> Result<Connection, ConnectError> {
        let options = &self.0.options;
        let stream = timeout(options.connect_timeout, TcpStream::connect(&**authority))
            .await
            .map_err(|_| ConnectError::Timeout(options.connect_timeout))??;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(options.max_header_bytes)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ConnectError::Handshake)?;
        tokio::spawn(async move {
            // Whoever waits for a response gets the error too and says so.
            if let Err(error) = driver.await {
                debug!(%error, "upstream connection ended");
            }
        });
        Ok(Connection { sender, authority: authority.clone(), reused: false })
    }

    /// Closes what is idle, so that a server that waits for its connections can stop.
    pub fn close_idle(&self) {
        self.lock().by_authority.clear();
    }

    /// Idle connections now, for metrics and tests.
    pub fn idle(&self) -> usize {
        self.lock().by_authority.values().map(Vec::len).sum()
    }

    pub(super) fn put(&self, authority: Arc<str>, sender: SendRequest<Body>) {
        let now = Instant::now();
        let idle_timeout = self.0.options.idle_timeout;
        let mut idle = self.lock();
        if now >= idle.next_sweep {
            idle.next_sweep = now + idle_timeout;
            idle.by_authority.retain(|_, kept| {
                kept.retain(|k| !k.sender.is_closed() && k.since + idle_timeout > now);
                !kept.is_empty()
            });
        }
        let kept = idle.by_authority.entry(authority).or_default();
        if kept.len() < self.0.options.max_idle_per_endpoint && !sender.is_closed() {
            kept.push(Kept { sender, since: now });
        }
    }

    /// The connection used last, since it is the least likely to have been given up by the other side.
    fn take(&self, authority: &Arc<str>) -> Option<SendRequest<Body>> {
        let now = Instant::now();
        let idle_timeout = self.0.options.idle_timeout;
        let mut idle = self.lock();
        let kept = idle.by_authority.get_mut(authority)?;
        let mut busy = Vec::new();
        let found = loop {
            let Some(last) = kept.pop() else { break None };
            if last.sender.is_closed() || last.since + idle_timeout <= now {
                continue;
            }
            if last.sender.is_ready() {
                break Some(last.sender);
            }
            // Its response has been read but its driver has not come round yet: good for the next one.
            busy.push(last);
        };
        kept.extend(busy);
        found
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(PoolOptions::default())
    }
}
