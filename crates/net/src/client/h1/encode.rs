//! A request in bytes.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request};
use http_body::Body as _;
use tokio::io::AsyncWrite;

use super::WireError;
use crate::Outgoing;

/// What is on its way to the upstream.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    /// The head, and what frames a body.
    text: BytesMut,
    /// A piece of the body, which follows the text.
    data: Bytes,
    state: State,
    /// Whether a byte of the request has left us.
    pub(super) has_sent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// All of the request is in the buffers, or gone.
    #[default]
    Done,
    /// So many bytes are to come.
    Length(u64),
    Chunked,
}

/// Buffers that a large head has blown up are not kept.
const KEEP_CAPACITY: usize = 16 << 10;

impl Encoder {
    /// Puts the head of `request` into the buffer.
    pub(super) fn begin(&mut self, request: &Request<Outgoing>) -> Result<(), WireError> {
        self.text.clear();
        if self.text.capacity() > KEEP_CAPACITY {
            self.text = BytesMut::new();
        }
        self.text.reserve(1024);
        self.data = Bytes::new();
        self.has_sent = false;
        let text = &mut self.text;
        text.put_slice(request.method().as_str().as_bytes());
        text.put_u8(b' ');
        text.put_slice(request.uri().path_and_query().map_or("/", |target| target.as_str()).as_bytes());
        text.put_slice(b" HTTP/1.1\r\n");
        for (name, value) in request.headers() {
            // Who frames the body says so below.
            if *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING {
                continue;
            }
            header(text, name.as_str().as_bytes(), value.as_bytes());
        }
        let body = request.body();
        self.state = match body.size_hint().exact() {
            Some(0) if body.is_end_stream() => {
                if expects_body(request.method()) || request.headers().contains_key(CONTENT_LENGTH) {
                    text.put_slice(b"content-length: 0\r\n");
                }
                State::Done
            }
            Some(length) => {
                write!(text.writer(), "content-length: {length}\r\n").map_err(WireError::Io)?;
                State::Length(length)
            }
            None => {
                text.put_slice(b"transfer-encoding: chunked\r\n");
                State::Chunked
            }
        };
        self.text.put_slice(b"\r\n");
        Ok(())
    }

    /// Writes what can be written. Ready when all of the request is written.
    pub(super) fn poll(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        body: &mut Outgoing,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), WireError>> {
        loop {
            // A small body goes out together with the head.
            if self.data.is_empty() && self.state != State::Done {
                match self.next_piece(body, cx)? {
                    Poll::Ready(()) => {}
                    Poll::Pending => {
                        ready!(self.poll_write(stream, cx))?;
                        ready!(Pin::new(&mut *stream).poll_flush(cx))?;
                        return Poll::Pending;
                    }
                }
            }
            ready!(self.poll_write(stream, cx))?;
            if self.state == State::Done {
                ready!(Pin::new(&mut *stream).poll_flush(cx))?;
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Whether all of the request is written.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done && self.text.is_empty() && self.data.is_empty()
    }

    /// Takes the next frame of the body into the buffers.
    fn next_piece(&mut self, body: &mut Outgoing, cx: &mut Context<'_>) -> Result<Poll<()>, WireError> {
        let frame = match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(frame) => frame.transpose().map_err(WireError::Body)?,
        };
        let Some(frame) = frame else {
            self.end(None)?;
            return Ok(Poll::Ready(()));
        };
        match frame.into_data() {
            Ok(data) => self.piece(data)?,
            Err(frame) => {
                let trailers = frame.into_trailers().ok();
                self.end(trailers.as_ref())?;
                return Ok(Poll::Ready(()));
            }
        }
        if body.is_end_stream() {
            self.end(None)?;
        }
        Ok(Poll::Ready(()))
    }

    fn piece(&mut self, data: Bytes) -> Result<(), WireError> {
        match &mut self.state {
            State::Done => {}
            State::Length(left) => {
                let length = data.len() as u64;
                *left =
                    left.checked_sub(length).ok_or(WireError::Request("the body is longer than it says"))?;
                self.data = data;
            }
            // An empty chunk would end the body.
            State::Chunked if data.is_empty() => {}
            State::Chunked => {
                let _ = write!((&mut self.text).writer(), "{:x}\r\n", data.len());
                self.data = data;
            }
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), WireError> {
        match self.state {
            State::Length(left) if left > 0 => {
                return Err(WireError::Request("the body is shorter than it says"));
            }
            State::Chunked => {
                // What is still in `data` is followed by its CRLF: it has to come before the end.
                self.text.reserve(16);
                self.last_chunk(trailers);
            }
            _ => {}
        }
        self.state = State::Done;
        Ok(())
    }

    fn last_chunk(&mut self, trailers: Option<&HeaderMap>) {
        let mut tail = BytesMut::with_capacity(64);
        if !self.data.is_empty() {
            tail.put_slice(b"\r\n");
        }
        tail.put_slice(b"0\r\n");
        for (name, value) in trailers.into_iter().flatten() {
            header(&mut tail, name.as_str().as_bytes(), value.as_bytes());
        }
        tail.put_slice(b"\r\n");
        // The text goes before the data, so the data joins it; a last piece is small, or comes with its own end.
        self.text.extend_from_slice(&self.data);
        self.data = Bytes::new();
        self.text.extend_from_slice(&tail);
    }

    fn poll_write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let had_data = !self.data.is_empty();
        while !self.text.is_empty() || !self.data.is_empty() {
            let written = if self.data.is_empty() {
                ready!(Pin::new(&mut *stream).poll_write(cx, &self.text))?
            } else if self.text.is_empty() {
                ready!(Pin::new(&mut *stream).poll_write(cx, &self.data))?
            } else {
                let parts = [IoSlice::new(&self.text), IoSlice::new(&self.data)];
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &parts))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.has_sent = true;
            let of_text = written.min(self.text.len());
            self.text.advance(of_text);
            self.data.advance(written - of_text);
        }
        if had_data && self.state == State::Chunked {
            self.text.put_slice(b"\r\n");
        }
        Poll::Ready(Ok(()))
    }
}

fn header(text: &mut BytesMut, name: &[u8], value: &[u8]) {
    text.reserve(name.len() + value.len() + 4);
    text.put_slice(name);
    text.put_slice(b": ");
    text.put_slice(value);
    text.put_slice(b"\r\n");
}

/// Methods whose request without a body says so (RFC 9110, section 8.6).
fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
