//! Request bodies that nobody wants.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::request::Parts;
use http::{Request, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::Body;

/// Most of an unwanted body that is read, and the longest this may take.
const MAX_BYTES: usize = 4 << 20;
const MAX_TIME: Duration = Duration::from_secs(2);

/// A body that is read on, and forgotten, when it is dropped before its end.
struct Unread {
    inner: Body,
    /// The client is sending, or about to.
    coming: bool,
}

/// Sees to it that a client which is still sending can see an answer that came early: a connection that is closed over
/// unread data is reset, and the answer may go with it. HTTP/2 can end a request without its connection.
pub(crate) fn read_on(request: Request<Body>) -> Request<Body> {
    let (head, body) = request.into_parts();
    let body = if head.version >= Version::HTTP_2 || body.is_end_stream() { body } else { wrap(&head, body) };
    Request::from_parts(head, body)
}

fn wrap(head: &Parts, inner: Body) -> Body {
    // Whoever waits for "100 Continue" sends nothing until the body is asked for.
    Body::new(Unread { inner, coming: !head.headers.contains_key(EXPECT) })
}

async fn discard(mut body: Body) {
    let mut left = MAX_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            break;
        }
    }
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        self.coming = !matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if !self.coming || self.inner.is_end_stream() {
            return;
        }
        // There is no runtime any more when the last requests are dropped with it.
        if let Ok(runtime) = Handle::try_current() {
            let rest = std::mem::replace(&mut self.inner, Body::empty());
            runtime.spawn(timeout(MAX_TIME, discard(rest)));
        }
    }
}
