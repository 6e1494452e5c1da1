//! Serving HTTP/1.1 and HTTP/2 (prior knowledge) on one listener.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Service, ServiceExt};
use tracing::{debug, warn};
use trellis_core::error::Result;
use trellis_runtime::Shutdown;

use crate::{Body, unread};

/// Bounds of a listener.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Largest request head, in bytes; over it, 431 or a closed connection.
    pub max_header_bytes: u32,
    /// Longest wait for a request head to arrive.
    pub header_timeout: Duration,
    /// Most connections at once; more wait in the listener's queue.
    pub max_connections: u32,
    /// Most requests at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// Longest wait for running requests once the shutdown is triggered.
    pub drain: Duration,
}

/// The client's address, in a request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// How long to leave a listener alone that has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `shutdown`, then lets running requests finish for up to `options.drain`.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    options: ServeOptions,
    shutdown: Shutdown,
) -> Result<()>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let connections = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(options.max_connections as usize));
    let builder = Arc::new(builder(&options));
    let mut stop = pin!(shutdown.triggered());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, peer, slot)) => connection(&builder, &connections, &service, stream, peer, slot),
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // What the kernel has accepted for us would be reset by closing the listener.
    while let Some(Ok((stream, peer, slot))) = accept(&listener, &slots).now_or_never() {
        connection(&builder, &connections, &service, stream, peer, slot);
    }
    drop(listener);
    if tokio::time::timeout(options.drain, connections.shutdown()).await.is_err() {
        warn!(after = ?options.drain, "connections still open at the end of the drain are closed");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, slot))
}

fn builder(options: &ServeOptions) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_buf_size(options.max_header_bytes as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(options.max_header_bytes)
        .max_concurrent_streams(options.max_streams);
    builder
}

fn connection<S>(
    builder: &Arc<auto::Builder<TokioExecutor>>,
    connections: &GracefulShutdown,
    service: &S,
    stream: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot set TCP_NODELAY");
    }
    let service = service.clone();
    let handler = service_fn(move |request: Request<Incoming>| {
        let mut request = unread::read_on(request.map(Body::new));
        request.extensions_mut().insert(PeerAddr(peer));
        service.clone().oneshot(request)
    });
    let connection = builder.serve_connection(TokioIo::new(stream), handler).into_owned();
    let watched = connections.watch(connection);
    tokio::spawn(async move {
        // A client that goes away or talks nonsense is no event; hyper has answered what can be answered.
        if let Err(error) = watched.await {
            debug!(%peer, %error, "connection ended");
        }
        drop(slot);
    });
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            max_header_bytes: 64 << 10,
            header_timeout: Duration::from_secs(15),
            max_connections: 20_000,
            max_streams: 256,
            drain: Duration::from_secs(15),
        }
    }
}
