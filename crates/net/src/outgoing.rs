//! The body of a request on its way to an upstream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::{Body, BoxError};

type BoxBody = Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>;

/// A request's body: most have none, which then costs nothing.
#[derive(Debug)]
pub struct Outgoing(Kind);

enum Kind {
    Empty,
    Full(Bytes),
    Stream {
        body: BoxBody,
        progress: Arc<Progress>,
        begun: bool,
    },
    /// It was sent, and cannot be had again.
    Gone,
}

/// How far a streamed body has come.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    /// The upstream wants more, and there is nothing yet.
    waiting: AtomicBool,
}

// === impl Outgoing ===

impl Outgoing {
    /// No body.
    pub fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body that is all there.
    pub fn full(bytes: Bytes) -> Self {
        Self(if bytes.is_empty() { Kind::Empty } else { Kind::Full(bytes) })
    }

    /// A body that comes in its own time; `progress` shows how it does.
    pub fn stream<B>(body: B, progress: Arc<Progress>) -> Self
    where
        B: HttpBody<Data = Bytes, Error = BoxError> + Send + 'static,
    {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self(Kind::Stream { body: Box::pin(body), progress, begun: false })
    }

    /// The same body once more, if it can be had.
    pub fn again(&self) -> Option<Self> {
        match &self.0 {
            Kind::Empty => Some(Self::empty()),
            Kind::Full(bytes) => Some(Self(Kind::Full(bytes.clone()))),
            Kind::Stream { .. } | Kind::Gone => None,
        }
    }

    /// What is left of a body that was sent away.
    pub(crate) fn gone() -> Self {
        Self(Kind::Gone)
    }

    /// After an attempt: puts back the body that was there before it, which is what [`again`](Self::again) gave then.
    /// Says whether it is whole; a stream is if nothing of it was taken.
    pub(crate) fn restore(&mut self, before: Option<Self>) -> bool {
        match (before, &self.0) {
            (Some(before), _) => {
                *self = before;
                true
            }
            (None, Kind::Stream { begun, .. }) => !begun,
            (None, Kind::Gone) => false,
            (None, Kind::Empty | Kind::Full(_)) => true,
        }
    }
}

impl From<Body> for Outgoing {
    fn from(body: Body) -> Self {
        Self::stream(http_body_util::BodyExt::map_err(body, BoxError::from), Arc::default())
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Empty | Kind::Gone => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream { body, progress, begun } => {
                let polled = body.as_mut().poll_frame(cx);
                *begun |= polled.is_ready();
                progress.note(&polled);
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty | Kind::Gone => true,
            Kind::Full(_) => false,
            Kind::Stream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty | Kind::Gone => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream { body, .. } => body.size_hint(),
        }
    }
}

// === impl Progress ===

impl Progress {
    /// Bytes that have gone through.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether it is the sender of the body that everybody waits for.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    fn note(&self, polled: &Poll<Option<Result<Frame<Bytes>, BoxError>>>) {
        self.waiting.store(polled.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Some(Ok(frame))) = polled {
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            self.bytes.fetch_add(length, Ordering::Relaxed);
        }
    }
}

// === impl Kind ===

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Full(_) => "Full",
            Self::Stream { .. } => "Stream",
            Self::Gone => "Gone",
        })
    }
}
