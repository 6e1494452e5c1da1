//! The way of a request through the gateway.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming as RequestBody;
use tokio::time::Instant;
use trellis_core::headers::REQUEST_ID;
use trellis_core::model::Protocol;
use trellis_core::{Error, codes};
use trellis_net::{Client, Unread, read_on};

use super::body::{Answered, Content};
use super::finish::Finish;
use super::forward::{self, Destination, close, forward};
use super::incoming::{self, Incoming};
use super::preflight::preflight;
use super::record::Record;
use super::refusal::Refusal;
use super::strike::strike;
use super::upgrade::{Switch, hides_the_rest};
use super::worker::{Snapshot, Worker};
use super::{aggregate, limits};
use crate::edge::grpc;
use crate::table::{Forward, Lookup, Target};

/// What the client gets, whatever happens.
pub(super) async fn answer(
    worker: Arc<Worker>,
    request: Request<RequestBody>,
    client: Arc<Client>,
) -> Response<Answered> {
    let (head, content) = read_on(request, worker.shared.options.serve.read_on).into_parts();
    let incoming = Incoming::read(&head, &client, worker.shared.options.forwarded, &worker.shared.clock);
    let (version, hides_the_rest) = (head.version, hides_the_rest(&head));
    let is_grpc = grpc::is_grpc(&head.headers);
    // This request stays with this table, even if the next one is in force by the time it ends.
    let live = worker.snapshot();
    let mut record = Record::begin(&worker, &live, &head, &incoming);
    let mut finish = Finish::default();
    let answer = if worker.is_full() {
        worker.hits().requests.hit(worker.index);
        Err(Refusal::from(Error::new(codes::OVERLOADED, "too many requests are under way; try again")))
    } else {
        let passage = Passage { worker: &worker, live: &live, client: &client, incoming: &incoming };
        passage.route(Request::from_parts(head, content), &mut finish, &mut record).await
    };
    // A refusal in the words of gRPC is an answer of 200; what it would have been is what counts.
    let refused = answer.as_ref().err().map(|refusal| refusal.error.status());
    let mut response = answer.unwrap_or_else(|refusal| {
        record.failed(refusal.error.code());
        refusal.report(&incoming);
        if is_grpc { refusal.trailers() } else { refusal.document(&incoming, version) }
    });
    if let Some(index) = record.route {
        finish.apply(&live.table.routes[index], &mut response, refused.is_some());
    }
    // What came after the request was not looked at, so the connection ends with it.
    if hides_the_rest && !matches!(response.body(), Content::Switched(_)) {
        close(&mut response, version);
    }
    response.headers_mut().insert(REQUEST_ID, incoming.request_id);
    record.status = refused.unwrap_or(response.status().as_u16());
    response.map(|content| Answered::new(content, record))
}

/// What a request finds on its way.
struct Passage<'r> {
    worker: &'r Arc<Worker>,
    live: &'r Arc<Snapshot>,
    client: &'r Arc<Client>,
    incoming: &'r Incoming,
}

impl Passage<'_> {
    async fn route(
        &self,
        request: Request<Unread>,
        finish: &mut Finish,
        record: &mut Record,
    ) -> Result<Response<Content>, Refusal> {
        let Self { worker, live, incoming, .. } = *self;
        if request.method() == Method::OPTIONS && request.uri().path() == "*" {
            return Ok(about_the_server());
        }
        let (mut head, content) = request.into_parts();
        let switch = Switch::read(&mut head)?;
        incoming::check(&head)?;
        if let Some((route, permission)) = preflight(live, incoming, &mut head) {
            record.route = Some(route);
            finish.is_whole = true;
            return Ok(permission);
        }
        let view = incoming.view(&head);
        let (route, captures) = match live.table.lookup(&view) {
            Lookup::Route { route, captures } => (route, captures),
            Lookup::WrongMethod(allowed) => {
                let detail = format!("{} is not taken here; use {allowed}", head.method);
                return Err(Refusal::method(Error::new(codes::METHOD_NOT_ALLOWED, detail), allowed));
            }
            Lookup::Nothing => {
                return Err(Error::new(codes::NO_ROUTE, "no route leads to this path").into());
            }
        };
        record.route = Some(route.index);
        finish.read(route, &head);
        let params = route.params(&captures, head.uri.path());
        let state = &live.routes[route.index];
        if let Some(at_once) = &state.at_once {
            record.permit = Some(at_once.try_acquire(record.start.into_std()).map_err(|_| {
                worker.hits().route_requests.hit(worker.index);
                Error::new(codes::OVERLOADED, "too many requests of this route are under way; try again")
            })?);
        }
        if !state.limits.is_empty() {
            let now = record.start.into_std();
            // What few routes have is kept out of the future, which is moved with every request.
            let admitted = limits::admit(worker, &state.limits, &view, &params, now, &mut finish.standing);
            Box::pin(admitted).await?;
            record.asked = Instant::now();
        }
        let to = match &route.target {
            Target::Forward(target) => Some(target.destination(&view, &params, fastrand::u64(..))),
            _ => None,
        };
        let timeout = to.map_or(route.timeout, |to| to.timeout);
        if let Some(fault) = &route.fault {
            let patience = incoming.patience.filter(|patience| *patience < timeout);
            let deadline = record.start + patience.unwrap_or(timeout);
            Box::pin(strike(fault, &view, &params, deadline, patience)).await?;
            record.asked = Instant::now();
        }
        match (&route.target, to) {
            (Target::Forward(target), Some(to)) => {
                self.opens_tunnels(switch.as_ref(), target, to.upstream)?;
                let rewrite = target.rewrite.as_ref();
                let uri = rewrite.map(|rewrite| forward::rewritten(&view, rewrite, &params)).transpose()?;
                let hash = live.table.upstreams[to.upstream].hash_of(&view, &params);
                let (client, upstream, retry) = (self.client, to.upstream, to.retry.as_deref());
                let to =
                    Destination { worker, live, client, route, target, timeout, upstream, hash, retry, uri };
                let request = Request::from_parts(head, content);
                forward(to, request, switch, incoming, record).await.map_err(Refusal::from)
            }
            (Target::Redirect { status, to }, _) => {
                let location = to.location(&view, &params).ok_or_else(|| {
                    Error::new(codes::BAD_REQUEST, "the request names no host that it could be sent on to")
                })?;
                let mut response = own(*status, Bytes::new());
                response.headers_mut().insert(LOCATION, location);
                Ok(response)
            }
            // Over HTTP/2 any answer of the 2xx kind would open it.
            _ if switch.is_some() => Err(no_tunnel().into()),
            (Target::Aggregate(plan), _) => {
                let answer =
                    aggregate::aggregate(live, worker.index, route, plan, &head.headers, incoming, record);
                Box::pin(answer).await.map_err(Refusal::from)
            }
            (Target::Respond { status, body, content_type }, _) => {
                let mut response = own(*status, body.clone());
                response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
                Ok(response)
            }
            (Target::Forward(_), None) => Err(Error::new(codes::INTERNAL, "a route leads nowhere").into()),
        }
    }

    /// Refuses a WebSocket that the route, or the way to its service, does not carry.
    fn opens_tunnels(&self, switch: Option<&Switch>, target: &Forward, upstream: usize) -> Result<(), Error> {
        if switch.is_none() {
            return Ok(());
        }
        if !target.websocket {
            return Err(no_tunnel());
        }
        match self.live.table.upstreams[upstream].settings.protocol {
            Protocol::Http1 => Ok(()),
            Protocol::Http2 => {
                let detail = "a WebSocket is carried to services that speak HTTP/1.1 only";
                Err(Error::new(codes::UPGRADE_NOT_CARRIED, detail))
            }
        }
    }
}

fn no_tunnel() -> Error {
    Error::new(codes::BAD_REQUEST, "no WebSocket is opened here")
}

fn own(status: StatusCode, body: Bytes) -> Response<Content> {
    let mut response = Response::new(Content::Own(body));
    *response.status_mut() = status;
    response
}

/// `OPTIONS *` asks about the server as a whole (RFC 9110, section 9.3.7): it is there.
fn about_the_server() -> Response<Content> {
    own(StatusCode::NO_CONTENT, Bytes::new())
}
