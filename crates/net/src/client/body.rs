//! A body that does something at its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::Body;

pin_project! {
    struct OnEnd<F> {
        #[pin]
        inner: Body,
        at_end: Option<F>,
    }
}

/// Calls `at_end` once the body has been read to its end; never if it fails or is dropped before.
pub(crate) fn on_end<F: FnOnce() + Send + 'static>(inner: Body, at_end: F) -> Body {
    if inner.is_end_stream() {
        at_end();
        return inner;
    }
    Body::new(OnEnd { inner, at_end: Some(at_end) })
}

impl<F: FnOnce()> HttpBody for OnEnd<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        let ended = match &frame {
            None => true,
            Some(Ok(_)) => this.inner.is_end_stream(),
            Some(Err(_)) => {
                *this.at_end = None;
                false
            }
        };
        if ended && let Some(at_end) = this.at_end.take() {
            at_end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
