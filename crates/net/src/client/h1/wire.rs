//! One connection.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::WireError;
use super::decode::{Decoder, Piece};
use super::encode::Encoder;
use super::head;
use crate::Outgoing;
use crate::client::{Stream, Tunnel};

/// A connection with what is on its way over it, in both directions.
#[derive(Debug)]
pub(in crate::client) struct Wire {
    stream: Stream,
    encoder: Encoder,
    /// Read, but not taken yet.
    buffer: BytesMut,
    read_size: usize,
    decoder: Decoder,
    keeps_alive: bool,
    max_head: usize,
}

/// What comes back first.
#[derive(Debug)]
pub(in crate::client) enum Exchanged {
    /// An answer; its body is still to be read.
    Answer(Box<Wire>, Response<()>),
    /// The upstream changed the protocol.
    Switched(Response<()>, Tunnel),
}

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::client) struct ExchangeError {
    /// Whether a byte of the request has left us.
    pub(in crate::client) has_sent: bool,
    pub(in crate::client) error: WireError,
}

/// Read at once: at first, and when there is much to read.
const READ: usize = 8 << 10;
const READ_MUCH: usize = 64 << 10;
/// Informational answers before the real one; more are nonsense.
const MAX_INFORMATIONAL: u32 = 16;

impl Wire {
    /// Heads of more than `max_head` bytes are refused.
    pub(in crate::client) fn new(stream: Stream, max_head: usize) -> Box<Self> {
        Box::new(Self {
            stream,
            encoder: Encoder::default(),
            buffer: BytesMut::new(),
            read_size: READ,
            decoder: Decoder::None,
            keeps_alive: true,
            max_head,
        })
    }

    /// Sends a request and waits for the head of the answer, which may come before all is sent.
    pub(in crate::client) async fn exchange(
        mut self: Box<Self>,
        request: &mut Request<Outgoing>,
    ) -> Result<Exchanged, ExchangeError> {
        let answer = match self.encoder.begin(request) {
            Ok(()) => {
                let (method, mut informational) = (request.method().clone(), 0);
                let body = request.body_mut();
                poll_fn(|cx| self.poll_exchange(&method, body, &mut informational, cx)).await
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(head) if head.status() == StatusCode::SWITCHING_PROTOCOLS => {
                Ok(Exchanged::Switched(head, Tunnel { stream: self.stream, first: self.buffer.freeze() }))
            }
            Ok(head) => Ok(Exchanged::Answer(self, head)),
            Err(error) => Err(ExchangeError { has_sent: self.encoder.has_sent, error }),
        }
    }

    /// Sends what is left of a request. Ready when that is all.
    pub(in crate::client) fn poll_send(
        &mut self,
        body: &mut Outgoing,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), WireError>> {
        if self.encoder.is_done() {
            return Poll::Ready(Ok(()));
        }
        let sent = self.encoder.poll(&mut self.stream, body, cx);
        if matches!(sent, Poll::Ready(Err(_))) {
            self.keeps_alive = false;
            self.encoder = Encoder::default();
        }
        sent
    }

    /// The next frame of the answer's body.
    pub(in crate::client) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        loop {
            match self.decoder.take(&mut self.buffer) {
                Ok(Piece::Frame(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::More) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) => return Poll::Ready(self.decoder.closed().err().map(Err)),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }

    /// Whether the answer has been read to its end.
    pub(in crate::client) fn has_ended(&self) -> bool {
        self.decoder.has_ended()
    }

    /// How much is to come.
    pub(in crate::client) fn size_hint(&self) -> SizeHint {
        self.decoder.size_hint()
    }

    /// Whether a part of the request is still to be sent.
    pub(in crate::client) fn is_sending(&self) -> bool {
        !self.encoder.is_done()
    }

    /// Whether it can take another request.
    pub(in crate::client) fn is_reusable(&self) -> bool {
        self.keeps_alive && self.has_ended() && self.encoder.is_done() && self.buffer.is_empty()
    }

    /// Whether the upstream has neither closed it nor said anything unasked, as far as we know by now.
    pub(in crate::client) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(&mut self.stream).poll_read(&mut cx, &mut buffer).is_pending()
    }

    fn poll_exchange(
        &mut self,
        method: &Method,
        body: &mut Outgoing,
        informational: &mut u32,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<()>, WireError>> {
        let sent = self.poll_send(body, cx);
        let head = self.poll_head(method, informational, cx);
        match (head, sent) {
            // An upstream may answer, and close, without reading on: then what it says counts.
            (Poll::Ready(Ok(head)), _) => Poll::Ready(Ok(head)),
            // The first failure explains the other.
            (_, Poll::Ready(Err(error))) | (Poll::Ready(Err(error)), _) => Poll::Ready(Err(error)),
            _ => Poll::Pending,
        }
    }

    fn poll_head(
        &mut self,
        method: &Method,
        informational: &mut u32,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<()>, WireError>> {
        loop {
            if !self.buffer.is_empty()
                && let Some(head) = head::take(&mut self.buffer, method)?
            {
                let status = head.response.status();
                if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                    self.decoder = head.decoder;
                    self.keeps_alive &= head.keeps_alive;
                    return Poll::Ready(Ok(head.response));
                }
                *informational += 1;
                if *informational > MAX_INFORMATIONAL {
                    return Poll::Ready(Err(WireError::Invalid("informational answers do not end")));
                }
                continue;
            }
            if self.buffer.len() > self.max_head {
                return Poll::Ready(Err(WireError::TooLarge(self.max_head)));
            }
            if ready!(self.poll_read(cx))? == 0 {
                let middle = if self.buffer.is_empty() { "a request" } else { "the head of an answer" };
                return Poll::Ready(Err(WireError::Closed(middle)));
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // Only what was handed on and is gone by now is used again.
        self.buffer.reserve(self.read_size);
        let room = self.buffer.capacity() - self.buffer.len();
        let read = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.buffer))?;
        self.read_size = if read >= room { (self.read_size * 2).min(READ_MUCH) } else { READ };
        Poll::Ready(Ok(read))
    }
}
