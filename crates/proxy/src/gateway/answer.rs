//! The way of a request through the gateway.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming as RequestBody;
use trellis_core::error::{Blame, chain};
use trellis_core::headers::REQUEST_ID;
use trellis_core::{Error, codes};
use trellis_net::{Client, Unread, problem, read_on};

use super::aggregate;
use super::body::{Answered, Content};
use super::forward::{self, Destination, close, forward};
use super::incoming::{self, Incoming};
use super::record::{Begin, Record};
use super::worker::Worker;
use crate::table::{Lookup, MethodSet, Target, View};

/// What the client gets, whatever happens.
pub(super) async fn answer(
    worker: Arc<Worker>,
    request: Request<RequestBody>,
    client: Arc<Client>,
) -> Response<Answered> {
    let (head, content) = read_on(request).into_parts();
    let incoming = Incoming::read(&head, &client, &worker.shared.clock);
    let version = head.version;
    let begin = Begin { head: &head, request_id: &incoming.request_id, trace: incoming.trace };
    let mut record = Record::begin(&worker, &begin);
    let answer = if worker.is_full() {
        Err(Refusal::from(Error::new(codes::OVERLOADED, "too many requests are under way; try again")))
    } else {
        route(&worker, &client, Request::from_parts(head, content), &incoming, &mut record).await
    };
    let mut response = answer.unwrap_or_else(|refusal| {
        let Refusal { error, allow } = refusal;
        record.failed(error.code());
        report(&error, &incoming);
        let mut response = problem::document(&error, incoming.request_id.to_str().ok());
        if let Some(allow) = allow.and_then(|allow| HeaderValue::try_from(allow.to_string()).ok()) {
            response.headers_mut().insert(ALLOW, allow);
        }
        if matches!(error.code(), codes::BODY_TOO_LARGE | codes::BAD_REQUEST | codes::CLIENT_TIMEOUT) {
            close(&mut response, version);
        }
        response.map(Content::Own)
    });
    response.headers_mut().insert(REQUEST_ID, incoming.request_id);
    record.status = response.status().as_u16();
    response.map(|content| Answered::new(content, record))
}

/// An error, and what a 405 must say besides.
struct Refusal {
    error: Error,
    allow: Option<MethodSet>,
}

async fn route(
    worker: &Worker,
    client: &Arc<Client>,
    request: Request<Unread>,
    incoming: &Incoming,
    record: &mut Record,
) -> Result<Response<Content>, Refusal> {
    if request.method() == Method::OPTIONS && request.uri().path() == "*" {
        return Ok(about_the_server());
    }
    let (head, content) = request.into_parts();
    incoming::check(&head)?;
    // This request stays with this table, even if the next one is in force by the time it ends.
    let live = worker.snapshot();
    let view = View::new(&head, Some(client.peer.ip()), client.secure);
    let (route, captures) = match live.table.lookup(&view) {
        Lookup::Route { route, captures } => (Arc::clone(route), captures),
        Lookup::WrongMethod(allowed) => {
            let detail = format!("{} is not taken here; use {allowed}", head.method);
            return Err(Refusal {
                error: Error::new(codes::METHOD_NOT_ALLOWED, detail),
                allow: Some(allowed),
            });
        }
        Lookup::Nothing => return Err(Error::new(codes::NO_ROUTE, "no route leads to this path").into()),
    };
    record.route = Some(Arc::clone(&route));
    let params = route.params(&captures, head.uri.path());
    match &route.target {
        Target::Aggregate(plan) => {
            let answer =
                aggregate::aggregate(&live, worker.index, &route, plan, &head.headers, incoming, record);
            answer.await.map_err(Refusal::from)
        }
        Target::Redirect { status, to } => {
            let location = to.location(&view, &params).ok_or_else(|| {
                Error::new(codes::BAD_REQUEST, "the request names no host that it could be sent on to")
            })?;
            let mut response = Response::new(Content::Own(Bytes::new()));
            *response.status_mut() = *status;
            response.headers_mut().insert(LOCATION, location);
            Ok(response)
        }
        Target::Respond { status, body, content_type } => {
            let mut response = Response::new(Content::Own(body.clone()));
            *response.status_mut() = *status;
            response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
            Ok(response)
        }
        Target::Forward(target) => {
            let to = target.destination(&view, &params, fastrand::u64(..));
            let rewrite = target.rewrite.as_ref();
            let uri = rewrite.map(|rewrite| forward::rewritten(&view, rewrite, &params)).transpose()?;
            let cluster = &live.clusters[to.upstream];
            let timeout = to.timeout;
            let hash = live.table.upstreams[to.upstream].hash_of(&view, &params);
            let (worker, retry) = (worker.index, to.retry.as_deref());
            let to = Destination { worker, client, route: &route, timeout, cluster, hash, retry, uri };
            let request = Request::from_parts(head, content);
            forward(to, request, incoming, record).await.map_err(Refusal::from)
        }
    }
}

/// `OPTIONS *` asks about the server as a whole (RFC 9110, section 9.3.7): it is there.
fn about_the_server() -> Response<Content> {
    let mut response = Response::new(Content::Own(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The private cause, for whoever runs the platform. What a client did wrong is in the access log already.
fn report(error: &Error, incoming: &Incoming) {
    let request_id = incoming.request_id.to_str().unwrap_or_default();
    if error.code().blame == Blame::Client || std::error::Error::source(error).is_none() {
        tracing::debug!(request_id, error = chain(error), "request refused");
    } else {
        tracing::warn!(request_id, error = chain(error), "request failed");
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, allow: None }
    }
}
