//! One request to one service.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONNECTION;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use trellis_core::{Error, codes};
use trellis_net::headers::strip_hop_by_hop;
use trellis_net::{Body, Cluster, body};

use super::deadline::Wait;
use super::incoming::Incoming;
use super::record::Record;
use crate::table::{Params, Route, Template, View};

/// Where a request goes.
pub(super) struct Destination<'r> {
    pub(super) route: &'r Route,
    /// Longest wait for an answer to begin.
    pub(super) timeout: Duration,
    pub(super) cluster: &'r Cluster,
    /// Sent on instead of the path that came.
    pub(super) uri: Option<Uri>,
}

/// Sends `request` on, whose body is counted already. Both bodies are streams that wait for whoever is slower.
pub(super) async fn forward(
    to: Destination<'_>,
    request: Request<Body>,
    incoming: &Incoming,
    record: &mut Record,
) -> Result<Response<Body>, Error> {
    record.service = Some(to.cluster.name().clone());
    let wait = Wait::new(to.timeout, incoming.patience)?;
    let (mut head, content) = request.into_parts();
    let limit = to.route.max_body_bytes;
    if content.size_hint().lower() > limit {
        return Err(body::too_large(limit));
    }
    head.uri = to.uri.unwrap_or(head.uri);
    incoming.outgoing(&mut head.headers, head.version);
    let request = Request::from_parts(head, body::limit(content, limit));
    let upload = Arc::clone(&record.upload);
    let call = to.cluster.call(request, wait.for_call());
    let answer = wait.watch(&upload, call).await?;
    record.instance = Some(answer.instance);
    record.attempts = answer.attempts;
    returned(to.cluster, answer.response)
}

/// A service's response as ours.
fn returned(cluster: &Cluster, mut response: Response<Body>) -> Result<Response<Body>, Error> {
    // Nobody asked for another protocol.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let detail = format!("{} changed the protocol without being asked", cluster.name());
        return Err(Error::new(codes::UPSTREAM_INVALID, detail));
    }
    *response.version_mut() = Version::HTTP_11;
    strip_hop_by_hop(response.headers_mut());
    Ok(response)
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
pub(super) fn close(response: &mut Response<Body>, version: Version) {
    if version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}
