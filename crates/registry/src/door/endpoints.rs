//! The endpoints of services, asked for and followed: `/v1/services/{name}/endpoints` and `/v1/endpoints`.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

use axum::Json as Answer;
use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::Deserialize;
use trellis_core::{Error, HumanDuration, ServiceName, codes};
use trellis_net::refusal::{ProblemSchema, Reply};
use utoipa::IntoParams;

use super::input::{Asker, Name, Query};
use super::schema;
use crate::broadcast::ServiceEndpoints;
use crate::handle::{Handle, Mark};

/// How long a request with a revision waits if it does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);
/// The media type of server-sent events.
const EVENTS: &str = "text/event-stream";
/// The last event that a client has seen, and from which it goes on.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Most services that one stream follows: their names fit into the head of a request.
const MAX_FOLLOWED: usize = 512;

/// How to wait for a change.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EndpointsQuery {
    /// The revision that is known already. Absent: answer at once.
    revision: Option<u64>,
    /// Longest wait for another revision, such as 30s, which is the default; more than 5m counts as 5m.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<HumanDuration>,
}

/// The endpoints that may take traffic, at once or as soon as they change.
///
/// Send the revision of the last answer: the next comes when there is another, or when the wait is over, and then it
/// may be the same. A revision is never used for two sets, but it may be lower than the last one: compare for equality
/// only. A service that is not known has no endpoints and revision 0.
///
/// With `Accept: text/event-stream` each set comes as an event whose id is its revision: the current one at once, unless
/// `revision` or `Last-Event-ID` says that it is known, then each that follows. Who reads slowly gets the latest set,
/// never a backlog. After 15 seconds without an event comes a comment.
#[utoipa::path(
    get, path = "/v1/services/{name}/endpoints", tag = "registry", operation_id = "watch_endpoints",
    params(("name" = String, Path, description = "The service, known or not yet known"), EndpointsQuery),
    responses(
        (status = 200, content((schema::EndpointSet = "application/json"), (String = "text/event-stream"))),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn one(
    State(handle): State<Handle>,
    Name(name): Name,
    Query(query): Query<EndpointsQuery>,
    Asker(group): Asker,
    headers: HeaderMap,
) -> Reply<Response> {
    if wants_events(&headers) {
        let known = last_event(&headers, "a revision")?.or(query.revision);
        return Ok(stream(handle.events(&name, known, group)?));
    }
    let Some(known) = query.revision else { return Ok(json(handle.endpoints_json(&name))) };
    let wait = query.wait.map_or(DEFAULT_WAIT, Duration::from);
    Ok(json(handle.told_after(&name, known, wait, group).await?.json()))
}

/// Answers what is asked most often, the endpoints of a service now, without a router. None: it is another question, or
/// put in another way, and the [router](super::router) has the answer.
pub fn at_once<B>(handle: &Handle, request: &Request<B>) -> Option<Response> {
    let uri = request.uri();
    if request.method() != Method::GET || uri.query().is_some() {
        return None;
    }
    let name = uri.path().strip_prefix("/v1/services/")?.strip_suffix("/endpoints")?;
    // What is no name, or written with escapes, is the router's.
    let name = name.parse().ok().filter(|_| !wants_events(request.headers()))?;
    Some(json(handle.endpoints_json(&name)))
}

fn json(document: Bytes) -> Response {
    let mut response = Response::new(document.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What to follow.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ManyQuery {
    /// Names of services, known or not yet known, separated by commas: 512 at most.
    #[param(example = "orders,users")]
    services: String,
}

/// The endpoints of several services that may take traffic.
///
/// With `Accept: text/event-stream` one stream follows all of them: first the set of each, then each that changes. Its id
/// stands behind it. Send the last one as `Last-Event-ID`, and for the same services: what has not changed since is not told
/// again. An id of another run or another node is as good as none. Who reads slowly gets the latest sets, never a backlog.
/// After 15 seconds without an event comes a comment.
#[utoipa::path(
    get, path = "/v1/endpoints", tag = "registry", operation_id = "watch_many_endpoints", params(ManyQuery),
    responses(
        (status = 200, content(
            (Vec<schema::ServiceEndpoints> = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn many(
    State(handle): State<Handle>,
    Query(query): Query<ManyQuery>,
    Asker(group): Asker,
    headers: HeaderMap,
) -> Reply<Response> {
    let names = query.services.split(',').map(str::trim);
    let parse = |name: &str| {
        name.parse::<ServiceName>().map_err(|refused| invalid(&format!("`services` has {name:?}: {refused}")))
    };
    let services = names.map(parse).collect::<Result<BTreeSet<_>, _>>()?;
    if services.len() > MAX_FOLLOWED {
        let text = format!("`services` has {} names; {MAX_FOLLOWED} are the most", services.len());
        return Err(invalid(&text).into());
    }
    if wants_events(&headers) {
        let after: Option<Mark> = last_event(&headers, "what stands behind `id:`")?;
        return Ok(stream(handle.many_events(services.into_iter().collect(), after, group)?));
    }
    let sets: Vec<_> = services.iter().map(|service| (service, handle.endpoints(service))).collect();
    let list: Vec<_> = sets.iter().map(|(service, set)| ServiceEndpoints { service, set }).collect();
    Ok(Answer(list).into_response())
}

fn wants_events(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains(EVENTS))
}

/// The id that a client comes back with, which is `what`.
fn last_event<T: FromStr>(headers: &HeaderMap, what: &str) -> Result<Option<T>, Error> {
    let Some(id) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let id = id.to_str().ok().and_then(|id| id.parse().ok());
    id.map(Some).ok_or_else(|| invalid(&format!("Last-Event-ID is not the id of an event: {what}")))
}

fn invalid(text: &str) -> Error {
    Error::new(codes::INVALID_PARAMETER, text.to_owned())
}

fn stream(events: impl HttpBody<Data = Bytes, Error = Infallible> + Send + 'static) -> Response {
    ([(CONTENT_TYPE, EVENTS), (CACHE_CONTROL, "no-cache")], Body::new(events)).into_response()
}
