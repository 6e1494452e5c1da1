//! One request to one service.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONNECTION;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, Version};
use http_body_util::Limited;
use tokio::time::Instant;
use trellis_core::{Error, codes};
use trellis_net::client::Reply;
use trellis_net::cluster::{Call, Flight};
use trellis_net::headers::strip_hop_by_hop;
use trellis_net::{Client, Cluster, Outgoing, Unread, body};
use trellis_resilience::RetryPolicy;

use super::body::Content;
use super::deadline::Wait;
use super::incoming::Incoming;
use super::record::Record;
use super::upgrade;
use crate::table::{Params, Route, Template, View};

/// Where a request goes.
pub(super) struct Destination<'r> {
    pub(super) worker: usize,
    pub(super) client: &'r Arc<Client>,
    pub(super) route: &'r Route,
    /// Longest wait for an answer to begin.
    pub(super) timeout: Duration,
    pub(super) cluster: &'r Cluster,
    pub(super) hash: Option<u64>,
    pub(super) retry: Option<&'r RetryPolicy>,
    /// Sent on instead of the path that came.
    pub(super) uri: Option<Uri>,
}

/// Sends `request` on. Both bodies are streams that wait for whoever is slower.
pub(super) async fn forward(
    to: Destination<'_>,
    mut request: Request<Unread>,
    incoming: &Incoming,
    record: &mut Record,
) -> Result<Response<Content>, Error> {
    use http_body::Body as _;
    record.service = Some(to.cluster.name().clone());
    let wait = Wait::new(Instant::now(), to.timeout, incoming.patience)?;
    let limit = to.route.max_body_bytes;
    if request.body().size_hint().lower() > limit {
        return Err(body::too_large(limit));
    }
    let switch = upgrade::Switch::wanted(&mut request);
    let (mut head, content) = request.into_parts();
    head.uri = to.uri.unwrap_or(head.uri);
    incoming.outgoing(&mut head.headers, head.version);
    if let Some(switch) = &switch {
        switch.ask(&mut head.headers);
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let content = if content.is_end_stream() {
        Outgoing::empty()
    } else {
        Outgoing::stream(Limited::new(content, limit), Arc::clone(&record.upload))
    };
    let mut request = Request::from_parts(head, content);
    let mut flight = Flight::default();
    let call = Call { worker: to.worker, deadline: wait.deadline, hash: to.hash, retry: to.retry };
    let sent = to.cluster.send(call, &mut request, &mut flight);
    let sent = wait.until(to.client, sent).await;
    record.attempts = flight.attempts;
    if record.tells_instance(matches!(sent, Some(Ok(_)))) {
        record.instance = flight.instance().cloned();
    }
    match sent {
        None => Err(wait.late(to.cluster, flight, &record.upload)),
        Some(Err(error)) => Err(error),
        Some(Ok(Reply::Answer(mut response))) => {
            *response.version_mut() = Version::HTTP_11;
            strip_hop_by_hop(response.headers_mut());
            // What came after the request was not looked at, so the connection ends with it.
            if switch.is_some() {
                close(&mut response, Version::HTTP_11);
            }
            Ok(response.map(|received| Content::Received(flight.until_read(received))))
        }
        Some(Ok(Reply::Switched(head, tunnel))) => match switch {
            Some(switch) => Ok(switch.accept(head, tunnel, flight)),
            // Nobody asked for another protocol.
            None => {
                let detail = format!("{} changed the protocol without being asked", to.cluster.name());
                Err(Error::new(codes::UPSTREAM_INVALID, detail))
            }
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
