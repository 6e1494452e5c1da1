//! A stream whose first bytes have been read already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::through::write_through;

pin_project! {
    pub(crate) struct Prefixed<S> {
        #[pin]
        stream: S,
        prefix: Prefix,
    }
}

/// The first bytes of a connection.
#[derive(Debug, Default)]
pub(crate) struct Prefix {
    bytes: [u8; Self::LENGTH],
    from: usize,
    to: usize,
}

impl Prefix {
    /// As long as the preface of HTTP/2.
    pub(crate) const LENGTH: usize = 24;

    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut prefix = Self { to: bytes.len().min(Self::LENGTH), ..Self::default() };
        prefix.bytes[..prefix.to].copy_from_slice(&bytes[..prefix.to]);
        prefix
    }

    /// Hands out what is left of it; whether that was something.
    fn read(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let length = buffer.remaining().min(self.to - self.from);
        buffer.put_slice(&self.bytes[self.from..self.from + length]);
        self.from += length;
        length > 0
    }
}

impl<S> Prefixed<S> {
    pub(crate) fn new(stream: S, prefix: Prefix) -> Self {
        Self { stream, prefix }
    }

    /// Waits for the next bytes and keeps them: whether there are any, which there are not at the end.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>>
    where
        S: AsyncRead + Unpin,
    {
        let Self { stream, prefix } = self;
        if prefix.from == prefix.to {
            let mut buffer = ReadBuf::new(&mut prefix.bytes);
            ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
            (prefix.from, prefix.to) = (0, buffer.filled().len());
        }
        Poll::Ready(Ok(prefix.to > 0))
    }
}

impl<S: AsyncRead> AsyncRead for Prefixed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        if this.prefix.read(buffer) { Poll::Ready(Ok(())) } else { this.stream.poll_read(cx, buffer) }
    }
}

impl<S: AsyncWrite> AsyncWrite for Prefixed<S> {
    write_through!(all);
}
