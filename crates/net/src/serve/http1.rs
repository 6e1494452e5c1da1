//! An HTTP/1.1 connection: a parser with its buffers while it is busy, no more than a socket while it is quiet.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::connection::Builders;
use super::drain::{Place, Wanted};
use super::{Client, Handler};
use crate::BoxError;
use crate::guard::Guarded;
use crate::prefixed::Prefixed;

/// What serves one connection.
pub(super) struct Http1<'b, H> {
    pub(super) handler: H,
    pub(super) builders: &'b Builders,
    pub(super) client: Arc<Client>,
    pub(super) place: Place,
}

/// A goodbye that the client does not take in this time is not said.
const GOODBYE: Duration = Duration::from_secs(1);

impl<H: Handler> Http1<'_, H> {
    /// Serves `stream` to its end.
    pub(super) async fn serve<S>(mut self, mut stream: Prefixed<S>) -> Result<(), BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        while let Some(quiet) = self.busy(stream).await? {
            stream = quiet;
            self.client.let_go();
            if !self.wait(&mut stream).await? {
                // TLS has a word for this; whoever does not take it finds out all the same.
                let _unheard = timeout(GOODBYE, stream.shutdown()).await;
                break;
            }
        }
        Ok(())
    }

    /// Carries requests until the connection ends, or has been quiet for a while: then the stream comes back.
    async fn busy<S>(&mut self, stream: Prefixed<S>) -> Result<Option<Prefixed<S>>, BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { handler, builders, client, place } = self;
        let guarded = Guarded::new(stream, builders.max_head, builders.patience, Arc::clone(client));
        let (handler, serving) = (handler.clone(), Arc::clone(client));
        let service = service_fn(move |request: Request<Incoming>| {
            serving.activity().begin();
            Finishing { answer: handler.handle(request, Arc::clone(&serving)), client: Arc::clone(&serving) }
        });
        let connection = builders.http1.serve_connection(TokioIo::new(guarded), service).with_upgrades();
        // Apart, so that a quiet connection has no room for it.
        let mut connection = Box::new(connection);
        // A client may be about to use a connection that has been quiet; to close it then is to lose its request. So it
        // is told with the next answer, and only who asks for nothing for a while is closed upon.
        let mut lingering: Option<Pin<Box<Sleep>>> = None;
        let mut told = false;
        let mut vigil = Vigil::new(builders.park_after);
        let ended = poll_fn(|cx| {
            match place.wanted(cx) {
                Wanted::GoOn => {}
                Wanted::Abandon => return Poll::Ready(Some(Ok(()))),
                Wanted::Finish if told => {}
                Wanted::Finish => {
                    client.finish();
                    let sleep = lingering.get_or_insert_with(|| Box::pin(sleep(builders.linger)));
                    if builders.linger.is_zero() || sleep.as_mut().poll(cx).is_ready() {
                        Pin::new(&mut *connection).graceful_shutdown();
                        told = true;
                    }
                }
            }
            if let Poll::Ready(ended) = Pin::new(&mut *connection).poll(cx) {
                return Poll::Ready(Some(ended.map_err(BoxError::from)));
            }
            vigil.poll(client, cx).map(|()| None)
        })
        .await;
        if let Some(ended) = ended {
            return ended.map(|()| None);
        }
        let Some(parts) = connection.into_parts() else { return Ok(None) };
        if !parts.read_buf.is_empty() {
            return Err("a request that the parser has read but not begun".into());
        }
        Ok(Some(parts.io.into_inner().into_inner()))
    }

    /// Waits for the next request of a quiet connection: whether there is one.
    async fn wait<S>(&mut self, stream: &mut Prefixed<S>) -> Result<bool, BoxError>
    where
        S: AsyncRead + Unpin,
    {
        let Self { builders, client, place, .. } = self;
        let mut patience = Box::pin(sleep(builders.idle_timeout.saturating_sub(builders.park_after)));
        let mut told = false;
        poll_fn(|cx| {
            match place.wanted(cx) {
                Wanted::GoOn => {}
                Wanted::Abandon => return Poll::Ready(Ok(false)),
                Wanted::Finish if told => {}
                Wanted::Finish => {
                    client.finish();
                    patience.as_mut().reset(Instant::now() + builders.linger);
                    told = true;
                }
            }
            if let Poll::Ready(read) = stream.poll_fill(cx) {
                return Poll::Ready(read.map_err(BoxError::from));
            }
            patience.as_mut().poll(cx).map(|()| Ok(false))
        })
        .await
    }
}

/// Finds out that a connection is quiet: it was so at two looks, and carried nothing in between. It looks by the clock
/// and not after each request, which therefore does not pay for it.
struct Vigil {
    every: Duration,
    next: Pin<Box<Sleep>>,
    seen: Option<u32>,
}

impl Vigil {
    fn new(every: Duration) -> Self {
        Self { every, next: Box::pin(sleep(every)), seen: None }
    }

    fn poll(&mut self, client: &Client, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.next.as_mut().poll(cx));
            let now = client.activity().quiet_after().filter(|_| !client.is_finishing());
            if now.is_some() && now == self.seen {
                return Poll::Ready(());
            }
            self.seen = now;
            self.next.as_mut().reset(Instant::now() + self.every);
        }
    }
}

pin_project! {
    /// An answer, which says that it is the last one if it is.
    struct Finishing<F> {
        #[pin]
        answer: F,
        client: Arc<Client>,
    }
}

impl<F: Future<Output = Response<B>>, B> Future for Finishing<F> {
    type Output = Result<Response<Answering<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.answer.poll(cx));
        if this.client.is_finishing() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let client = Arc::clone(this.client);
        Poll::Ready(Ok(answer.map(|body| Answering { body, client })))
    }
}

pin_project! {
    /// The body of an answer: as long as it is there, the connection is not quiet.
    struct Answering<B> {
        #[pin]
        body: B,
        client: Arc<Client>,
    }

    impl<B> PinnedDrop for Answering<B> {
        fn drop(this: Pin<&mut Self>) {
            this.project().client.activity().end();
        }
    }
}

impl<B: Body<Data = Bytes, Error = BoxError>> Body for Answering<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
