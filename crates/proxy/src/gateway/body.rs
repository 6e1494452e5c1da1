//! Bodies that are counted on their way through.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
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
}

pin_project! {
    struct Recorded {
        #[pin]
        inner: Body,
        record: Record,
    }
}

/// The body of a request, counted.
pub(super) fn counted(inner: Body, upload: Arc<Upload>) -> Body {
    if inner.is_end_stream() { inner } else { Body::new(Counted { inner, upload }) }
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
