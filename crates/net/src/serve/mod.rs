//! Serving HTTP/1.1 and HTTP/2 on one listener, plain or over TLS.

mod accept;
mod activity;
mod client;
mod connection;
mod corked;
mod drain;
mod http1;
mod http2;
mod modules;
mod raw;
mod turns;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::warn;
use trellis_core::error::Result;
use trellis_runtime::Shutdown;

use crate::tls::ServerTls;
use crate::{BoxError, ReadOn};
use connection::Builders;
use drain::Drain;
use turns::{Turn, Turns};

pub(crate) use activity::Activity;
pub use client::{Alarm, Client};
pub use modules::{PeerAddr, serve};
pub use raw::serve_raw;

/// Bounds of a listener.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Largest request head, in bytes; over it, 431 or a closed connection.
    pub max_header_bytes: u32,
    /// Longest wait for a request head to arrive, once it has begun.
    pub header_timeout: Duration,
    /// How long a connection may wait for its next request.
    pub idle_timeout: Duration,
    /// An HTTP/1.1 connection that has been quiet for this long, or up to twice as long, gives up its parser and buffers
    /// until the next request comes. Shorter saves memory, longer saves making them anew.
    pub park_after: Duration,
    /// How long the next bytes of a request's body may take, once they are wanted.
    pub stall_timeout: Duration,
    /// How much of a request's body is read that nobody wants. For handlers: see [`read_on`](crate::read_on).
    pub read_on: ReadOn,
    /// Most connections at once; more wait in the listener's queue.
    pub max_connections: u32,
    /// Most requests at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// Answers wait in memory for a slow client up to this size, for each HTTP/2 stream, in bytes.
    pub max_send_buffer: usize,
    /// How long a quiet connection may still bring a request once the shutdown is triggered; it is the last one.
    pub linger: Duration,
    /// Longest wait for running requests once the shutdown is triggered.
    pub drain: Duration,
}

/// Answers requests.
pub trait Handler: Clone + Send + Unpin + 'static {
    /// The body of an answer. An error in it breaks the client's connection, so that half an answer never looks whole.
    type Body: HttpBody<Data = Bytes, Error = BoxError> + Send + 'static;

    /// Answers one request of `client`.
    fn handle(
        &self,
        request: Request<Incoming>,
        client: Arc<Client>,
    ) -> impl Future<Output = Response<Self::Body>> + Send + use<Self>;
}

/// Serves listeners with one handler. Clones share the bound on connections, so that several workers, each with a
/// listener on the same socket, have one bound together.
#[derive(Clone, Debug)]
pub struct Server<H> {
    handler: H,
    options: Arc<ServeOptions>,
    tls: Option<Arc<ServerTls>>,
    slots: Arc<Semaphore>,
    turn: Turn,
}

/// How long to leave a listener alone that has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A failure that comes again within this time is the same that was told of.
const QUIET: Duration = Duration::from_secs(10);

impl<H> Server<H> {
    /// A server that answers with `handler`.
    pub fn new(handler: H, options: ServeOptions) -> Self {
        let slots = Arc::new(Semaphore::new(options.max_connections as usize));
        Self { handler, options: Arc::new(options), tls: None, slots, turn: Turns::new(1).of(0) }
    }

    /// The same server for each of several workers, which share its bounds and take connections in turn. `handler` makes
    /// each worker's own.
    pub fn for_workers<O>(&self, count: usize, handler: impl Fn(usize) -> O) -> Vec<Server<O>> {
        let turns = Turns::new(count);
        let server = |worker| Server {
            handler: handler(worker),
            options: Arc::clone(&self.options),
            tls: self.tls.clone(),
            slots: Arc::clone(&self.slots),
            turn: turns.of(worker),
        };
        (0..count).map(server).collect()
    }

    /// Who answers.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// The same, for a listener whose connections begin with TLS.
    #[must_use]
    pub fn over_tls(self, tls: Arc<ServerTls>) -> Self {
        Self { tls: Some(tls), ..self }
    }
}

impl<H: Handler> Server<H> {
    /// Serves connections until `shutdown`, then lets running requests finish for up to `drain`.
    pub async fn run(self, listener: TcpListener, shutdown: Shutdown) -> Result<()> {
        let (drain, options, slots) = (Drain::default(), Arc::clone(&self.options), Arc::clone(&self.slots));
        let builders = Arc::new(Builders::new(&options));
        let turn = self.turn.clone();
        let mut take = {
            let drain = drain.clone();
            move |accepted| drop(tokio::spawn(self.connection(accepted, &builders, &drain)))
        };
        accept::until(&listener, &slots, &turn, shutdown.triggered(), &mut take).await;
        // What the kernel has accepted for us would be reset by closing the listener.
        accept::rest(&listener, &slots, take);
        drop(listener);
        if tokio::time::timeout(options.drain, drain.all()).await.is_err() {
            warn!(after = ?options.drain, "connections still open at the end of the drain are closed");
            drain.abandon();
        }
        Ok(())
    }
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            max_header_bytes: 64 << 10,
            header_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_mins(1),
            park_after: Duration::from_millis(250),
            stall_timeout: Duration::from_mins(1),
            read_on: ReadOn::default(),
            max_connections: 20_000,
            max_streams: 256,
            max_send_buffer: 256 << 10,
            linger: Duration::from_millis(500),
            drain: Duration::from_secs(15),
        }
    }
}
