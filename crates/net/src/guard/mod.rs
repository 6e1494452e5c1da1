//! A strict look at what clients send before it is parsed: at HTTP/1.1 requests, and at HTTP/2 frames (`frames`).
//!
//! The parser behind it forgives what other parsers on the way read differently: a bare LF as the end of a line, a
//! Content-Length beside a Transfer-Encoding, the same length twice. Whoever can make two servers disagree on where a
//! request ends can smuggle a second one past the first. So whatever is ambiguous is refused here, and what passes has
//! one reading only (RFC 9112, sections 2.2, 5.2, 6.3 and 11.2).

mod chunked;
mod framed;
mod frames;
pub(crate) mod malformed;
mod scan;
#[cfg(test)]
mod tests;

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tracing::debug;

use crate::serve::Client;
use crate::through::write_through;

pub(crate) use framed::Framed;
pub(crate) use scan::{Expects, Scanner};

/// What makes a request ambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ambiguity {
    /// A line ends with LF alone.
    #[error("a line ends without CR")]
    BareLf,
    /// A header goes on in the next line.
    #[error("a header is folded over two lines")]
    Folded,
    /// There is space before a colon, or no colon.
    #[error("a header has no clear name")]
    Name,
    /// Both say where the body ends.
    #[error("Content-Length and Transfer-Encoding are both there")]
    TwoFramings,
    /// More than one Content-Length.
    #[error("Content-Length is there more than once")]
    TwoLengths,
    /// Not a plain decimal number.
    #[error("Content-Length is not a number")]
    Length,
    /// Anything but `chunked`, once.
    #[error("Transfer-Encoding is not \"chunked\"")]
    Coding,
    /// A chunk's size, or what follows its data, is not as it should be.
    #[error("a chunk is not well formed")]
    Chunk,
}

/// More of something than anybody needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than anybody needs")]
pub(crate) struct Excess;

pin_project! {
    /// Reads through a [`Scanner`]. What it refuses is replaced by bytes that no parser takes, so that the one behind it
    /// answers 400 and closes, wherever in a request it stands. A client that has begun something and does not go on
    /// is given up.
    pub(crate) struct Guarded<S> {
        #[pin]
        stream: S,
        scanner: Scanner,
        patience: Patience,
        waiting: Waiting,
        client: Arc<Client>,
    }
}

/// How long a client may keep us waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the whole of a request head, from its first byte.
    pub(crate) head: Duration,
    /// For the next bytes of a body that somebody wants.
    pub(crate) body: Duration,
}

/// NUL is valid nowhere in a head, nor in the framing of a chunk; the rest lets the parser see that nothing follows.
const REFUSED: &[u8] = b"\0\r\n\r\n";

/// Answers up to this size are written in one piece.
const SMALL: usize = 1024;

/// A timer, made when it is first needed.
#[derive(Debug, Default)]
struct Waiting {
    sleep: Option<Pin<Box<Sleep>>>,
    since: Option<Expects>,
}

impl<S> Guarded<S> {
    /// `client` hears whether anything is under way.
    pub(crate) fn new(stream: S, max_head: usize, patience: Patience, client: Arc<Client>) -> Self {
        Self { stream, scanner: Scanner::new(max_head), patience, waiting: Waiting::default(), client }
    }

    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl Waiting {
    /// Ends with an error when what is expected has not come in time.
    fn poll(&mut self, expects: Expects, patience: Patience, cx: &mut Context<'_>) -> Poll<io::Error> {
        let patience = match expects {
            Expects::Nothing => {
                self.since = None;
                return Poll::Pending;
            }
            Expects::Head => patience.head,
            Expects::Body => patience.body,
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(patience)));
        if self.since != Some(expects) {
            self.since = Some(expects);
            sleep.as_mut().reset(Instant::now() + patience);
        }
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client does not go on with its request"))
    }

    fn got_some(&mut self, expects: Expects) {
        // A head has its time as a whole, a body for each piece.
        if expects != Expects::Head {
            self.since = None;
        }
    }
}

impl<S: AsyncRead> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let before = buffer.filled().len();
        match this.stream.poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                return this.waiting.poll(this.scanner.expects(), *this.patience, cx).map(Err);
            }
        }
        if let Err(ambiguity) = this.scanner.scan(&buffer.filled()[before..]) {
            debug!(%ambiguity, "request refused");
            buffer.set_filled(before);
            buffer.put_slice(&REFUSED[..REFUSED.len().min(buffer.remaining())]);
        }
        this.client.activity().read(!this.scanner.is_between());
        this.waiting.got_some(this.scanner.expects());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite> AsyncWrite for Guarded<S> {
    write_through!(but writing);

    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.stream.poll_write(cx, bytes);
        this.client.activity().written(written.is_pending());
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if total > SMALL {
            let written = this.stream.poll_write_vectored(cx, parts);
            this.client.activity().written(written.is_pending());
            return written;
        }
        // The usual answer is a short head and a short body: to put them together costs less than what the kernel takes
        // for two pieces.
        let (mut whole, mut at) = ([0; SMALL], 0);
        for part in parts {
            whole[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        let written = this.stream.poll_write(cx, &whole[..total]);
        this.client.activity().written(written.is_pending());
        written
    }
}
