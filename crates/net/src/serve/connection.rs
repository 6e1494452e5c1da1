//! One connection, from its first byte to its last.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use super::accept::Accepted;
use super::drain::{Drain, Place, Wanted};
use super::http1::Http1;
use super::{Client, Handler, ServeOptions, Server, http2};
use crate::BoxError;
use crate::guard::Patience;
use crate::prefixed::{Prefix, Prefixed};
use crate::tls::{ALPN_H2, ServerTls};

/// What a connection needs of the settings, made once.
pub(super) struct Builders {
    pub(super) http1: http1::Builder,
    http2: http2::Builder,
    pub(super) max_head: usize,
    pub(super) patience: Patience,
    pub(super) linger: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) park_after: Duration,
}

/// What an HTTP/2 client begins with (RFC 9113, section 3.4).
const PREFACE: &[u8; Prefix::LENGTH] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Builders {
    pub(super) fn new(options: &ServeOptions) -> Self {
        let max_head = options.max_header_bytes.max(8192);
        let mut http1 = http1::Builder::new();
        // Heads that have begun, bodies and quiet connections are seen to here, without a timer for each request.
        http1.header_read_timeout(None).max_buf_size(max_head as usize);
        let patience = Patience { head: options.header_timeout, body: options.stall_timeout };
        Self {
            http1,
            http2: http2::builder(options, max_head),
            max_head: max_head as usize,
            patience,
            linger: options.linger,
            idle_timeout: options.idle_timeout,
            // Nobody closes a quiet connection before it is parked.
            park_after: options.park_after.min(options.idle_timeout),
        }
    }
}

impl<H: Handler> Server<H> {
    /// Serves `accepted` until it ends. A client that goes away or talks nonsense is no event.
    pub(super) fn connection(
        &self,
        accepted: Accepted,
        builders: &Arc<Builders>,
        drain: &Drain,
    ) -> impl Future<Output = ()> + Send + 'static {
        let Accepted { stream, peer, slot } = accepted;
        let (handler, tls, builders) = (self.handler.clone(), self.tls.clone(), Arc::clone(builders));
        let (place, taken) = (drain.place(), self.turn.take());
        async move {
            let client = Arc::new(Client::new(peer, tls.is_some()));
            let one = Connection { handler, builders: &builders, client, place };
            // What one kind of connection needs is apart from what all need, which each has as long as it is open.
            let served = match tls {
                None => one.plain(stream).await,
                Some(tls) => Box::pin(one.secure(stream, tls)).await,
            };
            if let Err(error) = served {
                debug!(%peer, error = trellis_core::error::chain(&*error), "connection ended");
            }
            drop((slot, taken));
        }
    }
}

struct Connection<'b, H> {
    handler: H,
    builders: &'b Builders,
    client: Arc<Client>,
    place: Place,
}

impl<H: Handler> Connection<'_, H> {
    /// Begins with TLS, in which the client says which HTTP it speaks.
    async fn secure(self, stream: TcpStream, tls: Arc<ServerTls>) -> Result<(), BoxError> {
        let accepted = timeout(self.builders.patience.head, tls.accept(stream)).await;
        let stream = Box::new(accepted.map_err(|_| "the TLS handshake took too long")??);
        if stream.get_ref().1.alpn_protocol() == Some(ALPN_H2) {
            self.http2(stream).await
        } else {
            self.http1(Prefixed::new(stream, Prefix::default())).await
        }
    }

    /// Finds out which HTTP the client speaks; without TLS it says so with its first bytes.
    async fn plain<S>(self, mut stream: S) -> Result<(), BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut first = [0; Prefix::LENGTH];
        let mut length = 0;
        let reading = async {
            while length < PREFACE.len() && first[..length] == PREFACE[..length] {
                match stream.read(&mut first[length..]).await? {
                    0 => break,
                    read => length += read,
                }
            }
            Ok::<_, std::io::Error>(())
        };
        let Connection { mut place, .. } = self;
        let mut reading = pin!(timeout(self.builders.patience.head, reading));
        // Who has said nothing when we stop is not waited for.
        let read = poll_fn(|cx| match reading.as_mut().poll(cx) {
            Poll::Pending if place.wanted(cx) != Wanted::GoOn => Poll::Ready(None),
            other => other.map(Some),
        });
        match read.await {
            None | Some(Err(_)) => return Ok(()),
            Some(Ok(read)) => read?,
        }
        if length == 0 {
            return Ok(());
        }
        let (prefix, this) = (Prefix::new(&first[..length]), Connection { place, ..self });
        if &first == PREFACE {
            this.http2(Prefixed::new(stream, prefix)).await
        } else {
            this.http1(Prefixed::new(stream, prefix)).await
        }
    }

    async fn http1<S>(self, stream: Prefixed<S>) -> Result<(), BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { handler, builders, client, place } = self;
        Http1 { handler, builders, client, place }.serve(stream).await
    }

    async fn http2<S>(self, stream: S) -> Result<(), BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { handler, builders, client, place } = self;
        http2::serve(stream, &builders.http2, handler, client, place).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use http::{Request, Response};
    use hyper::body::Incoming;
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::Body;

    #[derive(Clone)]
    struct Silent;

    impl Handler for Silent {
        type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, BoxError>;

        fn handle(
            &self,
            _: Request<Incoming>,
            _: Arc<Client>,
        ) -> impl Future<Output = Response<Self::Body>> + Send + use<> {
            ready(Response::new(Self::Body::new(http_body_util::BodyExt::map_err(Body::empty(), Into::into))))
        }
    }

    #[tokio::test]
    async fn what_every_open_connection_has_is_small() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = listener.local_addr().unwrap();
        let stream = TcpStream::connect(peer).await.unwrap();
        let slot = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let options = ServeOptions::default();
        let builders = Arc::new(Builders::new(&options));
        let accepted = Accepted { stream, peer, slot };
        let one = Server::new(Silent, options).connection(accepted, &builders, &Drain::default());
        let size = size_of_val(&one);
        assert!(size <= 2048, "the task of a connection has {size} bytes: box what few connections need");
    }
}
