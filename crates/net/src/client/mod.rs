//! Connections to upstreams, kept for the next request.

mod h1;
mod limit;
mod multiplex;
mod pool;
mod received;
mod stream;

use std::time::Duration;

use bytes::Bytes;

use crate::BoxError;
use crate::tls::ClientTls;
use h1::{ExchangeError, WireError};

pub use limit::ConnectionLimit;
pub use pool::{Lease, Pool, Reply};
pub use received::Received;
pub use stream::Stream;

/// Which HTTP an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// One request at a time on a connection.
    #[default]
    Http1,
    /// Many at a time; without TLS by prior knowledge (RFC 9113, section 3.3).
    Http2,
}

/// Bounds of a [`Pool`], and how it connects.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// What is spoken.
    pub protocol: Protocol,
    /// TLS, if the upstream wants it.
    pub tls: Option<ClientTls>,
    /// Longest wait for a connection, TLS included.
    pub connect_timeout: Duration,
    /// Most idle connections kept.
    pub max_idle: usize,
    /// How long an idle connection is kept. Shorter than the 60 s and more that servers commonly allow.
    pub idle_timeout: Duration,
    /// Largest response head, in bytes.
    pub max_header_bytes: usize,
    /// Most HTTP/2 connections. Another one is made when all that are open carry `streams_per_connection` requests.
    pub max_multiplexed: usize,
    /// See `max_multiplexed`.
    pub streams_per_connection: u32,
}

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address refused or cannot be reached, or TLS could not be agreed on.
    #[error("connect: {0}")]
    Io(#[from] std::io::Error),
    /// It took too long.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// There are as many as there may be, and none of them became free.
    #[error("all {0} connections are in use")]
    Full(u32),
    /// The connection ended before it could be used.
    #[error("handshake: {0}")]
    Handshake(#[source] hyper::Error),
}

/// Why no response came.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing of the request left us.
    #[error("nothing was sent: {0}")]
    Unsent(#[source] BoxError),
    /// The upstream says that it has not begun to work on it (RFC 9113, section 8.7).
    #[error("refused: {0}")]
    Refused(#[source] BoxError),
    /// The request, or part of it, was sent, and the connection broke.
    #[error("{0}")]
    Reset(#[source] BoxError),
    /// What came back is not HTTP, or over a limit.
    #[error("{0}")]
    Invalid(#[source] BoxError),
    /// The request's own body failed.
    #[error("{0}")]
    Body(#[source] BoxError),
}

/// Why [`Pool::ask`] got no response.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Nothing came back.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The other side speaks another protocol now, which nobody asked for.
    #[error("the other side changed the protocol without being asked")]
    Switched,
}

/// A connection that does not speak HTTP any more.
#[derive(Debug)]
pub struct Tunnel {
    /// The connection.
    pub stream: Stream,
    /// What has been read from it already.
    pub first: Bytes,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            protocol: Protocol::Http1,
            tls: None,
            connect_timeout: Duration::from_secs(2),
            max_idle: 128,
            idle_timeout: Duration::from_secs(45),
            max_header_bytes: 64 << 10,
            max_multiplexed: 4,
            streams_per_connection: 100,
        }
    }
}

impl From<ExchangeError> for SendError {
    fn from(failed: ExchangeError) -> Self {
        match failed.error {
            WireError::Body(source) => Self::Body(source),
            error @ WireError::Request(_) => Self::Body(error.into()),
            error @ (WireError::Invalid(_) | WireError::TooLarge(_)) => Self::Invalid(error.into()),
            error if failed.has_sent => Self::Reset(error.into()),
            error => Self::Unsent(error.into()),
        }
    }
}
