//! A request in bytes.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
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
    text: Vec<u8>,
    /// How much of it is written.
    written: usize,
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
        if self.text.capacity() > KEEP_CAPACITY {
            self.text = Vec::new();
        }
        self.text.clear();
        self.written = 0;
        self.text.reserve(1024);
        self.data = Bytes::new();
        self.has_sent = false;
        let text = &mut self.text;
        text.extend_from_slice(request.method().as_str().as_bytes());
        text.push(b' ');
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        text.extend_from_slice(target.as_bytes());
        text.extend_from_slice(b" HTTP/1.1\r\n");
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
                    text.extend_from_slice(b"content-length: 0\r\n");
                }
                State::Done
            }
            Some(length) => {
                write!(text, "content-length: {length}\r\n").map_err(WireError::Io)?;
                State::Length(length)
            }
            None => {
                text.extend_from_slice(b"transfer-encoding: chunked\r\n");
                State::Chunked
            }
        };
        self.text.extend_from_slice(b"\r\n");
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
        self.state == State::Done && self.written == self.text.len() && self.data.is_empty()
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
                let _ = write!(self.text, "{:x}\r\n", data.len());
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
                self.last_chunk(trailers);
            }
            _ => {}
        }
        self.state = State::Done;
        Ok(())
    }

    fn last_chunk(&mut self, trailers: Option<&HeaderMap>) {
        // The text goes before the data, so the data joins it; a last piece is small, or comes with its own end.
        if !self.data.is_empty() {
            self.text.extend_from_slice(&self.data);
            self.text.extend_from_slice(b"\r\n");
            self.data = Bytes::new();
        }
        self.text.extend_from_slice(b"0\r\n");
        for (name, value) in trailers.into_iter().flatten() {
            header(&mut self.text, name.as_str().as_bytes(), value.as_bytes());
        }
        self.text.extend_from_slice(b"\r\n");
    }

    fn poll_write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let had_data = !self.data.is_empty();
        loop {
            let text = &self.text[self.written..];
            let written = match (text, &*self.data) {
                ([], []) => break,
                (text, []) => ready!(Pin::new(&mut *stream).poll_write(cx, text))?,
                ([], data) => ready!(Pin::new(&mut *stream).poll_write(cx, data))?,
                (text, data) => {
                    let parts = [IoSlice::new(text), IoSlice::new(data)];
                    ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &parts))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.has_sent = true;
            let of_text = written.min(text.len());
            self.written += of_text;
            self.data.advance(written - of_text);
        }
        self.text.clear();
        self.written = 0;
        if had_data && self.state == State::Chunked {
            self.text.extend_from_slice(b"\r\n");
        }
        Poll::Ready(Ok(()))
    }
}

fn header(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    text.reserve(name.len() + value.len() + 4);
    text.extend_from_slice(name);
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

/// Methods whose request without a body says so (RFC 9110, section 8.6).
fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
