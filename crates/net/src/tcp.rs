//! Plain TCP, passed on as it comes.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::time::{Instant, sleep_until};

pin_project! {
    /// Notes when bytes were last read or written.
    struct Watched<'p, S> {
        #[pin]
        stream: S,
        pulse: &'p Pulse,
    }
}

/// When something last went through, in milliseconds since the beginning.
#[derive(Debug)]
struct Pulse {
    began: Instant,
    last: AtomicU64,
}

/// In each direction.
const BUFFER: usize = 16 << 10;

/// Carries bytes both ways until both sides have ended, or nothing has come for `idle`. A side that ends its half is
/// still read to the end of the other.
pub async fn carry<A, B>(a: A, b: B, idle: Duration) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let pulse = Pulse { began: Instant::now(), last: AtomicU64::new(0) };
    let (mut a, mut b) = (Watched { stream: a, pulse: &pulse }, Watched { stream: b, pulse: &pulse });
    tokio::select! {
        carried = copy_bidirectional_with_sizes(&mut a, &mut b, BUFFER, BUFFER) => carried.map(|_| ()),
        () = pulse.stops(idle) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came for too long")),
    }
}

impl Pulse {
    fn beat(&self) {
        let now = self.began.elapsed().as_millis() as u64;
        self.last.store(now, Ordering::Relaxed);
    }

    async fn stops(&self, idle: Duration) {
        loop {
            let last = self.began + Duration::from_millis(self.last.load(Ordering::Relaxed));
            if last.elapsed() >= idle {
                return;
            }
            sleep_until(last + idle).await;
        }
    }
}

impl<S: AsyncRead> AsyncRead for Watched<'_, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let read = this.stream.poll_read(cx, buffer);
        if read.is_ready() {
            this.pulse.beat();
        }
        read
    }
}

impl<S: AsyncWrite> AsyncWrite for Watched<'_, S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.stream.poll_write(cx, bytes);
        if written.is_ready() {
            this.pulse.beat();
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn bytes_go_both_ways_and_a_closed_half_leaves_the_other_open() {
        let ((mut client, a), (b, mut server)) = (duplex(64), duplex(64));
        let carried = tokio::spawn(carry(a, b, Duration::from_mins(1)));
        client.write_all(b"hello").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        server.read_to_string(&mut heard).await.unwrap();
        server.write_all(b"bye").await.unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!((heard.as_str(), answer.as_str()), ("hello", "bye"));
        carried.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it() {
        let ((_client, a), (b, _server)) = (duplex(64), duplex(64));
        let error = carry(a, b, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
