//! One request to one service.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, Version};
use http_body_util::Limited;
use trellis_core::{Error, codes};
use trellis_net::client::Reply;
use trellis_net::cluster::{Call, Flight};
use trellis_net::headers::strip_hop_by_hop;
use trellis_net::{Client, Outgoing, Unread, body};
use trellis_resilience::RetryPolicy;

use super::body::Content;
use super::deadline::Wait;
use super::incoming::Incoming;
use super::mirror::{Shadow, Tee};
use super::record::Record;
use super::upgrade::Switch;
use super::worker::{Snapshot, Worker};
use crate::metrics::Outcome;
use crate::table::{Forward, Params, Route, Template, View};

/// Where a request goes.
pub(super) struct Destination<'r> {
    pub(super) worker: &'r Arc<Worker>,
    pub(super) live: &'r Arc<Snapshot>,
    pub(super) client: &'r Arc<Client>,
    pub(super) route: &'r Route,
    /// The route's.
    pub(super) target: &'r Forward,
    /// Longest wait for an answer to begin.
    pub(super) timeout: Duration,
    /// Its index.
    pub(super) upstream: usize,
    pub(super) hash: Option<u64>,
    pub(super) retry: Option<&'r RetryPolicy>,
    /// Sent on instead of the path that came.
    pub(super) uri: Option<Uri>,
}

/// Sends `request` on. Both bodies are streams that wait for whoever is slower.
pub(super) async fn forward(
    to: Destination<'_>,
    request: Request<Unread>,
    switch: Option<Switch>,
    incoming: &Incoming,
    record: &mut Record,
) -> Result<Response<Content>, Error> {
    use http_body::Body as _;
    record.upstream = Some(to.upstream);
    let cluster = &*to.live.clusters[to.upstream];
    let wait = Wait::new(record.start, record.asked, to.timeout, incoming.patience)?;
    let limit = to.route.max_body_bytes;
    if request.body().size_hint().lower() > limit {
        return Err(body::too_large(limit));
    }
    let (mut head, content) = request.into_parts();
    head.uri = to.uri.unwrap_or(head.uri);
    incoming.outgoing(&mut head.headers, head.version);
    if let Some(edits) = &to.route.request_headers {
        edits.apply(&mut head.headers);
    }
    let copy = to.target.mirror.as_ref().filter(|_| switch.is_none()).and_then(|mirror| {
        let length = content.size_hint().lower();
        Shadow::of(to.worker, to.live, (to.route.index, mirror), &head, length, to.timeout)
    });
    let switch = switch.map(|switch| switch.ask(&mut head));
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let upload = || Arc::clone(&record.upload);
    let content = match (content.is_end_stream(), copy) {
        (true, None) => Outgoing::empty(),
        (true, Some(copy)) => {
            copy.send(Bytes::new());
            Outgoing::empty()
        }
        (false, None) => Outgoing::stream(Limited::new(content, limit), upload()),
        (false, Some(copy)) => Outgoing::stream(Tee::new(Limited::new(content, limit), copy), upload()),
    };
    let mut request = Request::from_parts(head, content);
    let mut flight = Flight::default();
    let call = Call {
        worker: to.worker.index,
        deadline: wait.deadline,
        hash: to.hash,
        retry: to.retry,
        host: to.target.host.as_ref(),
    };
    let sent = cluster.send(call, &mut request, &mut flight);
    let sent = wait.until(to.client, sent).await;
    record.attempts = flight.attempts;
    let calls = &to.live.calls[to.upstream];
    calls.record(to.worker.index, outcome(sent.as_ref()), record.asked.elapsed());
    (1..flight.attempts).for_each(|_| calls.retry(to.worker.index));
    if record.tells_instance(matches!(sent, Some(Ok(_)))) {
        record.instance = flight.instance().cloned();
    }
    match sent {
        None => Err(wait.late(cluster, flight, &record.upload)),
        Some(Err(error)) => Err(error),
        Some(Ok(Reply::Answer(mut response))) => {
            *response.version_mut() = Version::HTTP_11;
            if let Some(asked) = switch {
                response = asked.declined(response, cluster)?;
            } else {
                strip_hop_by_hop(response.headers_mut());
            }
            Ok(response.map(|received| Content::Received(flight.until_read(received))))
        }
        Some(Ok(Reply::Switched(head, tunnel))) => {
            let Some(asked) = switch else {
                let detail = format!("{} changed the protocol without being asked", cluster.name());
                return Err(Error::new(codes::UPSTREAM_INVALID, detail));
            };
            asked.agreed(head, tunnel, flight, cluster)
        }
    }
}

/// How a call ended; it has not if the client did not wait for it.
fn outcome(sent: Option<&Result<Reply, Error>>) -> Outcome {
    match sent {
        None => Outcome::Timeout,
        Some(Ok(Reply::Answer(response))) => Outcome::of(response.status().as_u16()),
        Some(Ok(Reply::Switched(..))) => Outcome::Success,
        Some(Err(error)) => match error.code() {
            codes::UPSTREAM_TIMEOUT => Outcome::Timeout,
            codes::UPSTREAM_RESET => Outcome::Reset,
            codes::UPSTREAM_INVALID => Outcome::Invalid,
            codes::BAD_REQUEST | codes::BODY_TOO_LARGE => Outcome::Cancelled,
            _ => Outcome::Connect,
        },
    }
}

/// Only the path changes; the query stays as it came.
pub(super) fn rewritten(view: &View<'_>, rewrite: &Template, params: &Params<'_>) -> Result<Uri, Error> {
    let refuse = || Error::new(codes::BAD_REQUEST, "the path cannot be sent on");
    let mut path = rewrite.path(view, params).map_err(|error| refuse().because(error))?;
    if let Some(query) = view.head.uri.query() {
        path.push('?');
        path.push_str(query);
    }
    PathAndQuery::from_maybe_shared(path.into_bytes()).map(Uri::from).map_err(|error| refuse().because(error))
}

/// Tells an HTTP/1.1 client that nothing more is read from this connection.
pub(super) fn close<B>(response: &mut Response<B>, version: Version) {
    if version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}
