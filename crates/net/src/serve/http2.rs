//! One connection that speaks HTTP/2.

use std::future::{Future, poll_fn, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::Either;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Handle, RuntimeFlavor};
use tracing::debug;

use super::corked::corked;
use super::drain::{Place, Wanted};
use super::{Client, Handler, ServeOptions};
use crate::BoxError;
use crate::guard::{Framed, malformed};

/// What HTTP/2 needs of the settings.
pub(super) type Builder = http2::Builder<TokioExecutor>;

/// Streams that a client may reset before they were looked at; more end the connection (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 32;
/// A client that does not answer a ping for this long has gone.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn builder(options: &ServeOptions, max_head: u32) -> Builder {
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .max_header_list_size(max_head)
        .max_concurrent_streams(options.max_streams)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_send_buf_size(options.max_send_buffer)
        .initial_connection_window_size(1 << 20)
        .keep_alive_interval(options.idle_timeout)
        .keep_alive_timeout(PING_TIMEOUT)
        .enable_connect_protocol();
    http2
}

/// Serves `stream` to its end, which comes earlier when we stop.
pub(super) async fn serve<S, H: Handler>(
    stream: S,
    builder: &Builder,
    handler: H,
    client: Arc<Client>,
    mut place: Place,
) -> Result<(), BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| match malformed::check(&request) {
        Ok(()) => Either::Left(handler.handle(request, Arc::clone(&client)).map(Ok)),
        Err(malformed) => {
            debug!(error = %malformed, "an HTTP/2 request is reset");
            // RFC 9113, section 8.1.1: a stream error, which hyper makes of this.
            Either::Right(ready(Err(h2::Error::from(h2::Reason::PROTOCOL_ERROR))))
        }
    });
    let (stream, cork) = corked(stream);
    // Apart, so that what waits for years has no room for what it might have been instead.
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(Framed::new(stream)), service));
    let (mut told, mut turn) = (false, Turn::new());
    poll_fn(|cx| {
        match place.wanted(cx) {
            Wanted::GoOn => {}
            Wanted::Abandon => return Poll::Ready(Ok(())),
            Wanted::Finish if told => {}
            Wanted::Finish => {
                connection.as_mut().graceful_shutdown();
                told = true;
            }
        }
        if !turn.has_come(cx) {
            return Poll::Pending;
        }
        let polled = connection.as_mut().poll(cx).map_err(BoxError::from);
        match cork.poll_uncork(cx) {
            Poll::Ready(Err(error)) if polled.is_pending() => Poll::Ready(Err(error.into())),
            _ => polled,
        }
    })
    .await
}

/// Lets those go first who were woken before this task, once each time that it is woken. Where threads share their tasks,
/// what wakes a connection is run before it, but one stream at a time; all that have something to say by now then say
/// it together.
struct Turn {
    lets_others: bool,
    waits: bool,
}

impl Turn {
    fn new() -> Self {
        // A thread with a runtime of its own takes turns by itself.
        let lets_others = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        Self { lets_others, waits: false }
    }

    fn has_come(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.lets_others {
            return true;
        }
        self.waits = !self.waits;
        if self.waits {
            // A task that wakes itself goes to the end of the line.
            cx.waker().wake_by_ref();
        }
        !self.waits
    }
}
