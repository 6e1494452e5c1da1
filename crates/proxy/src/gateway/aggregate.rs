//! One request to several services.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use tokio::time::timeout_at;
use trellis_core::{Error, codes};
use trellis_net::client::Reply;
use trellis_net::cluster::{Call, Flight};
use trellis_net::{Body, Outgoing, Progress};

use super::body::Content;
use super::deadline::Wait;
use super::incoming::Incoming;
use super::record::Record;
use super::worker::Snapshot;
use crate::aggregate::{Aggregate, Answer, Failure, Fetched, Part, assemble, read_part};
use crate::table::{Route, Target};

/// From this many bytes of parts on, the computing moves to a thread where it holds nobody up.
const MUCH: usize = 64 << 10;

/// Fetches all parts at once and puts them together.
pub(super) async fn aggregate(
    live: &Arc<Snapshot>,
    worker: usize,
    route: &Route,
    plan: &Aggregate,
    client: &HeaderMap,
    incoming: &Incoming,
    record: &mut Record,
) -> Result<Response<Content>, Error> {
    let headers = incoming.part(client);
    let asked = record.asked;
    // Each part has its own time from here on; the client's has begun before.
    let patience = incoming.patience.map(|all| all.saturating_sub(asked.duration_since(record.start)));
    let parts = plan.parts.iter().map(|part| {
        let wait = Wait::new(asked, asked, part.timeout, patience);
        fetch(live, worker, part, headers.clone(), wait, plan.is_input(&part.name))
    });
    if patience == Some(Duration::ZERO) {
        Wait::new(asked, asked, route.timeout, patience)?;
    }
    let (attempts, fetched): (Vec<u32>, Vec<_>) = join_all(parts).await.into_iter().unzip();
    record.attempts = attempts.into_iter().sum();
    let size: usize = fetched.iter().flatten().map(|part| part.json.len()).sum();
    let Answer { json, flag } = if size < MUCH || plan.computed.is_empty() {
        assemble(plan, fetched)?
    } else {
        elsewhere(Arc::clone(live), route.index, fetched).await?
    };
    record.partly = flag;
    Ok(document(json))
}

async fn elsewhere(
    live: Arc<Snapshot>,
    route: usize,
    fetched: Vec<Result<Fetched, Failure>>,
) -> Result<Answer, Error> {
    let work = tokio::task::spawn_blocking(move || match &live.table.routes[route].target {
        Target::Aggregate(plan) => assemble(plan, fetched),
        _ => Err(Error::new(codes::INTERNAL, "a route changed its target")),
    });
    work.await
        .map_err(|error| Error::new(codes::INTERNAL, "the answer could not be put together").because(error))?
}

/// One part, with the connections it took.
async fn fetch(
    live: &Snapshot,
    worker: usize,
    part: &Part,
    headers: HeaderMap,
    wait: Result<Wait, Error>,
    parse: bool,
) -> (u32, Result<Fetched, Failure>) {
    let mut request = Request::new(Outgoing::empty());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = Uri::from(part.get.clone());
    *request.headers_mut() = headers;
    let wait = match wait {
        Ok(wait) => wait,
        Err(error) => return (0, Err(Failure::from(&error))),
    };
    let cluster = &live.clusters[part.upstream];
    let call = Call { retry: cluster.retry(), ..Call::once(worker, wait.deadline) };
    let mut flight = Flight::default();
    let sent = timeout_at(wait.deadline, cluster.send(call, &mut request, &mut flight)).await;
    let attempts = flight.attempts;
    let failure = match sent {
        Ok(Ok(Reply::Answer(response))) => {
            // The wait is for the whole part, not only for its head.
            let late = || part.failure(codes::UPSTREAM_TIMEOUT, "did not answer in time");
            let response = response.map(|received| Body::new(flight.until_read(received)));
            let read = timeout_at(wait.deadline, read_part(part, response, parse)).await;
            return (attempts, read.unwrap_or_else(|_| Err(late())));
        }
        Ok(Ok(Reply::Switched(..))) => part.failure(codes::UPSTREAM_INVALID, "changed the protocol"),
        Ok(Err(error)) => Failure::from(&error),
        Err(_) => Failure::from(&wait.late(cluster, flight, &Progress::default())),
    };
    (attempts, Err(failure))
}

fn document(json: Bytes) -> Response<Content> {
    let mut response = Response::new(Content::Own(json));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
