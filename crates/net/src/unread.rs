//! Request bodies that nobody wants.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::{HeaderMap, Request, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How much of an unwanted body is read on; nothing if one of them is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOn {
    /// Most of it, in bytes.
    pub max_bytes: u64,
    /// The longest this may take.
    pub timeout: Duration,
}

/// A body that is read on, and forgotten, when it is dropped before its end.
#[derive(Debug)]
pub struct Unread {
    /// `None` once it has been handed over.
    inner: Option<Incoming>,
    /// Over HTTP/2 a request can end without its connection.
    is_http1: bool,
    /// The client is sending, or about to.
    coming: bool,
    bounds: ReadOn,
}

/// Sees to it that a client which is still sending can see an answer that came early: a connection that is closed over
/// unread data is reset, and the answer may go with it. HTTP/2 can end a request without its connection.
pub fn read_on(request: Request<Incoming>, bounds: ReadOn) -> Request<Unread> {
    let (head, inner) = request.into_parts();
    let is_http1 = head.version < Version::HTTP_2;
    let coming = is_http1 && announced(&head.headers);
    Request::from_parts(head, Unread { inner: Some(inner), is_http1, coming, bounds })
}

/// Whoever waits for "100 Continue" sends nothing until the body is asked for.
fn announced(headers: &HeaderMap) -> bool {
    !headers.contains_key(EXPECT)
}

async fn discard(mut body: Incoming, mut left: u64) {
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
        if left == 0 {
            break;
        }
    }
}

impl Default for ReadOn {
    fn default() -> Self {
        Self { max_bytes: 4 << 20, timeout: Duration::from_secs(2) }
    }
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(cx);
        // Once it is asked for, a client that waited for "100 Continue" sends it.
        self.coming = self.is_http1 && !matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let ReadOn { max_bytes, timeout: time } = self.bounds;
        let is_wanted = self.coming && max_bytes > 0 && !time.is_zero();
        let Some(rest) = self.inner.take().filter(|rest| is_wanted && !rest.is_end_stream()) else {
            return;
        };
        // There is no runtime any more when the last requests are dropped with it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(time, discard(rest, max_bytes)));
        }
    }
}
