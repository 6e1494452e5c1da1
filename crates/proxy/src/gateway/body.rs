//! Bodies that are counted on their way through.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http::header::EXPECT;
use http::request::Parts;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use tokio::runtime::Handle;
use tokio::time::timeout;
use trellis_core::codes;
use trellis_net::Body;

use super::record::Record;

/// How a request's body is coming along.
#[derive(Debug, Default)]
pub(super) struct Upload {
    bytes: AtomicU64,
    /// The service wants more, and the client has not sent it yet.
    waiting: AtomicBool,
}

/// A request's body on its way to whoever wants it.
struct Counted {
    inner: Body,
    upload: Arc<Upload>,
    /// The client is sending, or about to.
    coming: bool,
    /// Of no use to HTTP/2, which can end a request without its connection.
    discard: bool,
}

pin_project! {
    struct Recorded {
        #[pin]
        inner: Body,
        record: Record,
    }
}

/// Most of an unwanted body that is read, and the longest this may take.
const MAX_DISCARD: usize = 4 << 20;
const MAX_DISCARD_TIME: Duration = Duration::from_secs(2);

/// The body of a request, counted. If it is dropped before its end, the rest is read and forgotten for a while: a
/// connection that is closed over unread data is reset, and the client would never see the answer.
pub(super) fn counted(head: &Parts, inner: Body, upload: Arc<Upload>) -> Body {
    if inner.is_end_stream() {
        return inner;
    }
    // Whoever waits for "100 Continue" sends nothing until the body is asked for.
    let coming = !head.headers.contains_key(EXPECT);
    Body::new(Counted { inner, upload, coming, discard: head.version < Version::HTTP_2 })
}

/// Keeps `record` until the answer's body has ended.
pub(super) fn recorded(inner: Body, mut record: Record) -> Body {
    // A body that is empty, or that HEAD leaves out, is not asked for.
    if inner.is_end_stream() || record.is_head() {
        record.complete();
        return inner;
    }
    Body::new(Recorded { inner, record })
}

async fn discard(mut body: Body) {
    let mut left = MAX_DISCARD;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            break;
        }
    }
}

impl Upload {
    /// Bytes that have come so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether it is the client that everybody waits for.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        self.upload.waiting.store(polled.is_pending(), Ordering::Relaxed);
        self.coming = !matches!(polled, Poll::Ready(None | Some(Err(_))));
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            self.upload.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.coming || !self.discard || self.inner.is_end_stream() {
            return;
        }
        // There is no runtime any more when the last requests are dropped with it.
        if let Ok(runtime) = Handle::try_current() {
            let rest = std::mem::replace(&mut self.inner, Body::empty());
            runtime.spawn(timeout(MAX_DISCARD_TIME, discard(rest)));
        }
    }
}

impl HttpBody for Recorded {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                this.record.bytes_out += frame.data_ref().map_or(0, Bytes::len) as u64;
                // Who knows the length does not ask for the end.
                if this.inner.is_end_stream() {
                    this.record.complete();
                }
            }
            // The error goes on to the server, which breaks the client's connection: half an answer never looks whole.
            Some(Err(_)) => this.record.failed(codes::UPSTREAM_RESET),
            None => this.record.complete(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
