//! Connections to upstreams, kept for the next request.

mod body;
mod pool;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::client::conn::http1::SendRequest;

use crate::Body;

pub(crate) use body::on_end;
pub use pool::Pool;

/// Bounds of a [`Pool`].
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Most idle connections kept to one address.
    pub max_idle_per_endpoint: usize,
    /// How long an idle connection is kept. Shorter than the 60 s and more that servers commonly allow.
    pub idle_timeout: Duration,
    /// Largest response head, in bytes.
    pub max_header_bytes: usize,
}

/// A connection that takes one request.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Body>,
    authority: Arc<str>,
    /// It has carried requests before, so the other side may have just given it up.
    pub reused: bool,
}

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address refused or cannot be reached.
    #[error("connect: {0}")]
    Io(#[from] std::io::Error),
    /// It took too long.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// The connection ended before it could be used.
    #[error("handshake: {0}")]
    Handshake(#[source] hyper::Error),
}

/// Why no response came.
#[derive(Debug)]
pub enum SendError {
    /// The connection was gone; nothing of the request was sent, here it is.
    Unsent(Box<Request<Body>>),
    /// The request, or part of it, was sent.
    Broken(hyper::Error),
}

impl Pool {
    /// Sends one request, whose URI has only a path and query and which has a `Host`. The connection returns to the
    /// pool when the response's body has been read to its end.
    pub async fn send(
        &self,
        connection: Connection,
        request: Request<Body>,
    ) -> Result<Response<Body>, SendError> {
        let Connection { mut sender, authority, .. } = connection;
        match sender.try_send_request(request).await {
            Ok(response) => {
                let pool = self.clone();
                Ok(response.map(|incoming| on_end(Body::new(incoming), move || pool.put(authority, sender))))
            }
            Err(mut error) => match error.take_message() {
                Some(request) => Err(SendError::Unsent(Box::new(request))),
                None => Err(SendError::Broken(error.into_error())),
            },
        }
    }
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            max_idle_per_endpoint: 128,
            idle_timeout: Duration::from_secs(45),
            max_header_bytes: 64 << 10,
        }
    }
}
