//! A stream whose frames are looked at as they come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;
use tracing::debug;

use super::frames::{Frames, Malformed};
use crate::through::write_through;

pin_project! {
    /// Reads through [`Frames`]. A malformed frame is replaced by one that makes the parser say what is wrong; nothing
    /// follows it.
    pub(crate) struct Framed<S> {
        #[pin]
        stream: S,
        frames: Frames,
        buffer: BytesMut,
        // Bytes at the front of the buffer that may be passed on.
        vetted: usize,
        ended: Option<Malformed>,
    }
}

const READ: usize = 16 << 10;

impl<S> Framed<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, frames: Frames::new(), buffer: BytesMut::new(), vetted: 0, ended: None }
    }
}

impl<S: AsyncRead> AsyncRead for Framed<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        while *this.vetted == 0 {
            match this.ended {
                Some(Malformed::Flood(excess)) => return Poll::Ready(Err(io::Error::other(*excess))),
                Some(_) => return Poll::Ready(Ok(())),
                None => {}
            }
            this.buffer.reserve(READ);
            if ready!(poll_read_buf(this.stream.as_mut(), cx, this.buffer))? == 0 {
                // What is left of a frame that will never be whole is of no use to anybody.
                return Poll::Ready(Ok(()));
            }
            let (vetted, result) = this.frames.scan(this.buffer);
            *this.vetted = vetted;
            if let Err(malformed) = result {
                debug!(error = %malformed, "an HTTP/2 connection is ended");
                this.buffer.truncate(vetted);
                this.buffer.extend_from_slice(malformed.instead());
                *this.vetted = this.buffer.len();
                *this.ended = Some(malformed);
            }
        }
        let length = (*this.vetted).min(out.remaining());
        out.put_slice(&this.buffer[..length]);
        this.buffer.advance(length);
        *this.vetted -= length;
        if this.buffer.is_empty() {
            // A connection that is quiet keeps no buffer.
            *this.buffer = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite> AsyncWrite for Framed<S> {
    write_through!(all);
}
