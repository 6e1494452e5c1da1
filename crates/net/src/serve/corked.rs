//! What a connection has to say, in one go.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Keeps what is written until it is [uncorked](Cork::poll_uncork). A parser of HTTP/2 writes the frames of its streams
/// one after the other; with a hundred streams that have something to say at the same time, that would be a system call
/// for each, and a wake of the client.
pub(super) struct Corked<S>(Arc<Mutex<Inner<S>>>);

/// The other hand on a stream that is [`Corked`], for whoever knows when all has been written.
pub(super) struct Cork<S>(Arc<Mutex<Inner<S>>>);

struct Inner<S> {
    stream: S,
    held: BytesMut,
    /// The stream may keep some of what was written to it.
    unflushed: bool,
}

/// As much is kept; what is more has to be taken by the network first.
const MOST: usize = 64 << 10;
/// What is at least so large goes out at once, uncopied, with what is kept before it. More than a parser keeps itself.
const LARGE: usize = 32 << 10;
/// Parts that go out together, at most.
const PARTS: usize = 16;

/// Puts a cork on `stream`.
pub(super) fn corked<S>(stream: S) -> (Corked<S>, Cork<S>) {
    let inner = Arc::new(Mutex::new(Inner { stream, held: BytesMut::new(), unflushed: false }));
    (Corked(Arc::clone(&inner)), Cork(inner))
}

/// Both hands are in one task, so nobody ever waits for it.
fn lock<S>(inner: &Mutex<Inner<S>>) -> MutexGuard<'_, Inner<S>> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncWrite + Unpin> Cork<S> {
    /// Writes what is kept, and what is kept within the stream itself.
    pub(super) fn poll_uncork(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = lock(&self.0);
        if !inner.unflushed {
            return Poll::Ready(Ok(()));
        }
        ready!(inner.poll_write_held(cx))?;
        ready!(Pin::new(&mut inner.stream).poll_flush(cx))?;
        inner.unflushed = false;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn poll_write_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.held))?;
            self.written(written)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is kept and then `parts`: how much of these.
    fn poll_write_all(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let mut all = [IoSlice::new(&[]); PARTS];
            all[0] = IoSlice::new(&self.held);
            let count = parts.len().min(PARTS - 1);
            all[1..=count].copy_from_slice(&parts[..count]);
            let held = self.held.len();
            let skip = usize::from(held == 0);
            let stream = Pin::new(&mut self.stream);
            let written = ready!(stream.poll_write_vectored(cx, &all[skip..=count]))?;
            if written > held {
                self.held = BytesMut::new();
                return Poll::Ready(Ok(written - held));
            }
            self.written(written)?;
        }
    }

    fn written(&mut self, written: usize) -> io::Result<()> {
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.held.advance(written);
        if self.held.is_empty() {
            // A connection that is quiet keeps no buffer.
            self.held = BytesMut::new();
        }
        Ok(())
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut inner = lock(&self.0);
        inner.unflushed = true;
        if length >= LARGE {
            return inner.poll_write_all(cx, parts);
        }
        if inner.held.len() + length > MOST {
            ready!(inner.poll_write_held(cx))?;
        }
        for part in parts {
            inner.held.extend_from_slice(part);
        }
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// That is what the cork is for.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = lock(&self.0);
        ready!(inner.poll_write_held(cx))?;
        Pin::new(&mut inner.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Corked<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).stream).poll_read(cx, out)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Takes so many bytes at once, and none when it is full.
    struct Network {
        at_once: usize,
        taken: Vec<u8>,
        calls: usize,
        is_full: bool,
    }

    impl Network {
        fn taking(at_once: usize) -> Self {
            Self { at_once, taken: Vec::new(), calls: 0, is_full: false }
        }
    }

    impl AsyncWrite for Network {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let this = self.get_mut();
            if this.is_full {
                return Poll::Pending;
            }
            let count = bytes.len().min(this.at_once);
            this.taken.extend(&bytes[..count]);
            this.calls += 1;
            Poll::Ready(Ok(count))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            parts: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            self.poll_write(cx, &all)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn uncork(cork: &Cork<Network>) -> Option<io::Result<()>> {
        poll_fn(|cx| cork.poll_uncork(cx)).now_or_never()
    }

    #[tokio::test]
    async fn many_small_pieces_are_one() {
        let (mut corked, cork) = corked(Network::taking(usize::MAX));
        for _ in 0..100 {
            corked.write_all(b"event").await.unwrap();
            corked.flush().await.unwrap();
        }
        assert_eq!(lock(&cork.0).stream.calls, 0);
        uncork(&cork).unwrap().unwrap();
        let inner = lock(&cork.0);
        assert_eq!((inner.stream.calls, inner.stream.taken.len(), inner.held.capacity()), (1, 500, 0));
    }

    #[tokio::test]
    async fn large_pieces_go_out_at_once_behind_what_is_kept() {
        let (mut corked, cork) = corked(Network::taking(usize::MAX));
        corked.write_all(b"head").await.unwrap();
        corked.write_all(&vec![b'x'; LARGE]).await.unwrap();
        let inner = lock(&cork.0);
        assert_eq!((inner.stream.calls, inner.stream.taken.len()), (1, 4 + LARGE));
        assert!(inner.stream.taken.starts_with(b"headx") && inner.held.is_empty());
    }

    #[tokio::test]
    async fn nothing_is_lost_or_moved_however_little_the_network_takes() {
        let sizes = [1, 3, LARGE - 1, LARGE, 7, 70_000, 2, 2 * LARGE, 4_000, MOST - 1, 5];
        for at_once in [1_000, 4_099, usize::MAX] {
            let (mut corked, cork) = corked(Network::taking(at_once));
            let mut all = Vec::new();
            for (number, size) in sizes.into_iter().enumerate() {
                let piece: Vec<u8> = (0..size).map(|n| (n * 7 + number) as u8).collect();
                corked.write_all(&piece).await.unwrap();
                all.extend(piece);
            }
            uncork(&cork).unwrap().unwrap();
            assert!(lock(&cork.0).stream.taken == all, "{at_once}");
        }
    }

    #[tokio::test]
    async fn what_the_network_does_not_take_is_kept_within_a_bound() {
        let (mut corked, cork) = corked(Network { is_full: true, ..Network::taking(usize::MAX) });
        let mut written = 0;
        while corked.write_all(&[b'x'; 100]).now_or_never().is_some() {
            written += 100;
        }
        assert!(written <= MOST && written > MOST - 200, "{written}");
        assert!(uncork(&cork).is_none());
        lock(&cork.0).stream.is_full = false;
        corked.shutdown().await.unwrap();
        assert_eq!(lock(&cork.0).stream.taken.len(), written);
    }
}
