//! The body of an answer on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use trellis_core::codes;
use trellis_net::{BoxError, Received};

use super::record::Record;
use super::upgrade::Switched;
use crate::edge::compress::Compressed;

/// An answer's body, counted, whose end is the end of the request.
#[derive(Debug)]
pub(super) struct Answered {
    content: Content,
    /// Gone when all has been said.
    record: Option<Record>,
    /// What broke the body, until what came before it has gone out.
    failure: Option<BoxError>,
}

/// Where it comes from.
#[derive(Debug)]
pub(super) enum Content {
    /// From an upstream.
    Received(Received),
    /// From here.
    Own(Bytes),
    /// Another one, made smaller on its way.
    Compressed(Pin<Box<Compressed<Content>>>),
    /// None, but bytes in another protocol.
    Switched(Box<Switched>),
}

impl Answered {
    /// Keeps `record` until the body has ended.
    pub(super) fn new(content: Content, record: Record) -> Self {
        let content = match content {
            Content::Switched(switched) => {
                switched.carry(record);
                return Self { content: Content::default(), record: None, failure: None };
            }
            content => content,
        };
        let mut answered = Self { content, record: None, failure: None };
        // A body that is empty, or that HEAD leaves out, is not asked for.
        if answered.is_end_stream() || record.is_head() {
            record.complete();
        } else {
            answered.record = Some(record);
        }
        answered
    }
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(error) = self.failure.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = ready!(Pin::new(&mut self.content).poll_frame(cx));
        if let Some(Err(error)) = frame {
            if let Some(mut record) = self.record.take() {
                record.failed(codes::UPSTREAM_RESET);
            }
            // The server breaks the client's connection, so that half an answer never looks whole; but at once, with
            // all that it has not sent yet. The client may have that.
            self.failure = Some(error);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let ended = self.content.is_end_stream();
        match &frame {
            Some(Ok(frame)) => {
                if let Some(record) = &mut self.record {
                    record.bytes_out += frame.data_ref().map_or(0, Bytes::len) as u64;
                }
                // Who knows the length does not ask for the end.
                if ended && let Some(record) = self.record.take() {
                    record.complete();
                }
            }
            _ => {
                if let Some(record) = self.record.take() {
                    record.complete();
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

impl HttpBody for Content {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Received(received) => Pin::new(received).poll_frame(cx),
            Self::Own(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Own(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Compressed(compressed) => compressed.as_mut().poll_frame(cx),
            Self::Switched(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Received(received) => received.is_end_stream(),
            Self::Own(bytes) => bytes.is_empty(),
            Self::Compressed(compressed) => compressed.is_end_stream(),
            Self::Switched(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Received(received) => received.size_hint(),
            Self::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Compressed(compressed) => compressed.size_hint(),
            Self::Switched(_) => SizeHint::with_exact(0),
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Own(Bytes::new())
    }
}
