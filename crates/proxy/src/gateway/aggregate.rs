//! One request to several services.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use tokio::time::{Instant, timeout_at};
use trellis_core::{Error, codes};
use trellis_net::Body;

use super::body::Upload;
use super::deadline::Wait;
use super::incoming::Incoming;
use super::live::Live;
use super::record::Record;
use crate::aggregate::{Aggregate, Answer, Failure, Fetched, Part, assemble, read_part};
use crate::table::{Route, Target};

/// From this many bytes of parts on, the computing moves to a thread where it holds nobody up.
const MUCH: usize = 64 << 10;

/// Fetches all parts at once and puts them together.
pub(super) async fn aggregate(
    live: &Live,
    route: &Arc<Route>,
    plan: &Aggregate,
    client: &HeaderMap,
    incoming: &Incoming,
    record: &mut Record,
) -> Result<Response<Body>, Error> {
    let headers = incoming.part(client);
    let fetch = |part| fetch(live, part, headers.clone(), incoming.patience, plan.is_input(&part.name));
    if incoming.patience == Some(Duration::ZERO) {
        Wait::new(route.timeout, incoming.patience)?;
    }
    let (attempts, fetched): (Vec<u32>, Vec<_>) =
        join_all(plan.parts.iter().map(fetch)).await.into_iter().unzip();
    record.attempts = attempts.into_iter().sum();
    let size: usize = fetched.iter().flatten().map(|part| part.json.len()).sum();
    let Answer { json, flag } = if size < MUCH || plan.computed.is_empty() {
        assemble(plan, fetched)?
    } else {
        elsewhere(route, fetched).await?
    };
    record.partly = flag;
    Ok(document(json))
}

async fn elsewhere(route: &Arc<Route>, fetched: Vec<Result<Fetched, Failure>>) -> Result<Answer, Error> {
    let route = Arc::clone(route);
    let work = tokio::task::spawn_blocking(move || match &route.target {
        Target::Aggregate(plan) => assemble(plan, fetched),
        _ => Err(Error::new(codes::INTERNAL, "a route changed its target")),
    });
    work.await
        .map_err(|error| Error::new(codes::INTERNAL, "the answer could not be put together").because(error))?
}

/// One part, with the connections it took.
async fn fetch(
    live: &Live,
    part: &Part,
    headers: HeaderMap,
    patience: Option<Duration>,
    parse: bool,
) -> (u32, Result<Fetched, Failure>) {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = Uri::from(part.get.clone());
    *request.headers_mut() = headers;
    let wait = match Wait::new(part.timeout, patience) {
        Ok(wait) => wait,
        Err(error) => return (0, Err(Failure::from(&error))),
    };
    let deadline = Instant::now() + wait.within;
    let call = live.clusters[part.upstream].call(request, wait.for_call());
    match wait.watch(&Upload::default(), call).await {
        Ok(answer) => {
            // The wait is for the whole part, not only for its head.
            let late = || part.failure(codes::UPSTREAM_TIMEOUT, "did not answer in time");
            let read = timeout_at(deadline, read_part(part, answer.response, parse)).await;
            (answer.attempts, read.unwrap_or_else(|_| Err(late())))
        }
        Err(error) => (0, Err(Failure::from(&error))),
    }
}

fn document(json: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(json));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
