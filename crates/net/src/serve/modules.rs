//! Modules behind a listener: what is served is a `tower::Service`, the seam of the platform.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt;
use http::{Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tower::{Service, ServiceExt};
use trellis_core::error::Result;
use trellis_runtime::Shutdown;

use super::{Client, Handler, ServeOptions, Server};
use crate::{Body, BoxError, ReadOn, unread};

/// The client's address, in a request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// Serves connections with `service` until `shutdown`, then lets running requests finish for up to `options.drain`.
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
    Server::new(Module { service, read_on: options.read_on }, options).run(listener, shutdown).await
}

/// Gives a service bodies as it knows them.
#[derive(Clone)]
struct Module<S> {
    service: S,
    read_on: ReadOn,
}

/// Nothing in it is ever pinned.
impl<S> Unpin for Module<S> {}

impl<S> Handler for Module<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Body = http_body_util::combinators::MapErr<Body, fn(axum::Error) -> BoxError>;

    fn handle(
        &self,
        request: Request<Incoming>,
        client: Arc<Client>,
    ) -> impl Future<Output = Response<Self::Body>> + Send + use<S> {
        let mut request = if request.body().is_end_stream() {
            // Most have none, which then needs no room.
            request.map(|_| Body::empty())
        } else {
            unread::read_on(request, self.read_on).map(Body::new)
        };
        request.extensions_mut().insert(PeerAddr(client.peer));
        self.service.clone().oneshot(request).map(|answer| {
            let Ok(response) = answer;
            response.map(|body| http_body_util::BodyExt::map_err(body, BoxError::from as fn(_) -> _))
        })
    }
}
