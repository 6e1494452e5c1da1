//! Copies of requests, whose answers nobody sees.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};
use tracing::debug;
use trellis_core::error::chain;
use trellis_net::client::Reply;
use trellis_net::cluster::{Call, Flight};
use trellis_net::{BoxError, Outgoing, Received};

use super::worker::{Snapshot, Worker};
use crate::table::Mirror;

const MIRRORED: HeaderName = HeaderName::from_static("x-trellis-mirror");

/// Copies that a worker makes or waits for at once. More are dropped.
const MAX_COPIES: usize = 64;

/// Most of an answer that is read, so that its connection can be used again.
const MAX_ANSWER: usize = 64 << 10;

/// The copy of a request.
#[derive(Debug)]
pub(super) struct Shadow {
    place: Place,
    snapshot: Arc<Snapshot>,
    /// The route's.
    index: usize,
    upstream: usize,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    max_bytes: usize,
    within: Duration,
}

/// A place among the copies of a worker.
#[derive(Debug)]
struct Place(Arc<Worker>);

/// A body that is copied as it goes by. The copy is sent when all of it has gone.
#[derive(Debug)]
pub(super) struct Tee<B> {
    inner: B,
    copy: Option<(Shadow, BytesMut)>,
}

impl Shadow {
    /// A copy of the request with this `head`, if there is room for one. `length` is the least that its body has.
    pub(super) fn of(
        worker: &Arc<Worker>,
        snapshot: &Arc<Snapshot>,
        (index, mirror): (usize, &Mirror),
        head: &Parts,
        length: u64,
        within: Duration,
    ) -> Option<Self> {
        if !mirror.share.includes(fastrand::f64()) {
            return None;
        }
        let place = Place::take(worker).filter(|_| length <= mirror.max_body_bytes);
        let Some(place) = place else {
            worker.hits().mirror.hit(worker.index);
            return None;
        };
        let mut headers = head.headers.clone();
        headers.insert(MIRRORED, HeaderValue::from_static("1"));
        Some(Self {
            place,
            snapshot: Arc::clone(snapshot),
            index,
            upstream: mirror.upstream,
            method: head.method.clone(),
            uri: head.uri.clone(),
            headers,
            max_bytes: usize::try_from(mirror.max_body_bytes).unwrap_or(usize::MAX),
            within,
        })
    }

    /// Sends it with this body, and returns at once.
    pub(super) fn send(self, body: Bytes) {
        tokio::spawn(async move {
            let worker = self.place.0.index;
            let deadline = Instant::now() + self.within;
            let mut request = Request::new(Outgoing::full(body));
            *request.method_mut() = self.method;
            *request.uri_mut() = self.uri;
            *request.headers_mut() = self.headers;
            let cluster = &self.snapshot.clusters[self.upstream];
            if let Some(copies) = &self.snapshot.routes[self.index].copies {
                copies.mirrored(worker);
            }
            let mut flight = Flight::default();
            let sent =
                timeout_at(deadline, cluster.send(Call::once(worker, deadline), &mut request, &mut flight))
                    .await;
            match sent {
                Ok(Ok(Reply::Answer(answer))) => {
                    let _ = timeout_at(deadline, read(flight.until_read(answer.into_body()))).await;
                }
                Ok(Ok(Reply::Switched(..))) => debug!("the answer to a copy changed the protocol"),
                Ok(Err(error)) => debug!(error = chain(&error), "a copy was not taken"),
                Err(_) => {
                    let error = cluster.late(flight, cluster.is_long(self.within));
                    debug!(error = chain(&error), "a copy was not answered");
                }
            }
        });
    }
}

async fn read(mut answer: Received) {
    let mut left = MAX_ANSWER;
    while let Some(Ok(frame)) = answer.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

impl Place {
    fn take(worker: &Arc<Worker>) -> Option<Self> {
        let under_way = worker.copies.fetch_add(1, Ordering::Relaxed);
        // Counted first; too many are given back by the drop.
        let place = Self(Arc::clone(worker));
        (under_way < MAX_COPIES).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.copies.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<B> Tee<B> {
    pub(super) fn new(inner: B, copy: Shadow) -> Self {
        Self { inner, copy: Some((copy, BytesMut::new())) }
    }

    fn keep(&mut self, data: &Bytes) {
        let Some((copy, kept)) = &mut self.copy else { return };
        if kept.len() + data.len() <= copy.max_bytes {
            // Copied, since pieces can be small parts of large buffers.
            kept.extend_from_slice(data);
        } else {
            copy.place.0.hits().mirror.hit(copy.place.0.index);
            self.copy = None;
        }
    }

    fn end(&mut self) {
        if let Some((copy, kept)) = self.copy.take() {
            copy.send(kept.freeze());
        }
    }
}

impl<B> HttpBody for Tee<B>
where
    B: HttpBody<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.keep(data);
                }
                // Who knows the length does not ask for the end.
                if self.inner.is_end_stream() {
                    self.end();
                }
            }
            Some(Err(_)) => self.copy = None,
            None => self.end(),
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
