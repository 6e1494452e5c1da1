//! tonic's server.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use http::HeaderName;
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Code, Status, Streaming};

use crate::pairs::{Seen, Server};
use crate::proto::test_service_server::{TestService, TestServiceServer};
use crate::proto::{
    EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, SimpleResponse, StreamingInputCallRequest,
    StreamingInputCallResponse, StreamingOutputCallRequest, StreamingOutputCallResponse,
};

const ECHO_INITIAL: HeaderName = HeaderName::from_static("x-grpc-test-echo-initial");
const ECHO_TRAILING: HeaderName = HeaderName::from_static("x-grpc-test-echo-trailing-bin");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Starts the server.
pub(crate) async fn start() -> Result<Server> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let seen = Arc::new(Seen::default());
    let service = Routes::new(TestServiceServer::new(Service));
    let router = service.into_axum_router().layer(from_fn_with_state(seen.clone(), watch));
    let task = tokio::spawn(async move {
        // It runs until the test ends.
        let _ = axum::serve(listener, router).await;
    });
    Ok(Server { address, seen, task })
}

/// Looks at a call from outside, since tonic ends the requests of one that is cancelled as if they were all there. Sends
/// back the metadata that ask for it; tonic has no trailers of a method's own for calls that go well.
async fn watch(State(seen): State<Arc<Seen>>, request: Request, next: Next) -> Response {
    let mut open = Open::begin(seen);
    let initial = request.headers().get(ECHO_INITIAL).cloned();
    let trailing = request.headers().get(ECHO_TRAILING).cloned();
    let mut response = next.run(request).await;
    // An answer without a body ends here.
    if response.headers().contains_key(GRPC_STATUS) {
        open.end();
    }
    if let Some(value) = initial {
        response.headers_mut().insert(ECHO_INITIAL, value);
    }
    response.map(|body| {
        Body::new(body.map_frame(move |frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                open.end();
                trailers.extend(trailing.clone().map(|value| (ECHO_TRAILING, value)));
                Frame::trailers(trailers)
            }
            Err(data) => data,
        }))
    })
}

/// A call that was cancelled if it is dropped before it has ended.
struct Open {
    seen: Arc<Seen>,
    has_ended: bool,
}

impl Open {
    fn begin(seen: Arc<Seen>) -> Self {
        seen.begin();
        Self { seen, has_ended: false }
    }

    fn end(&mut self) {
        self.has_ended = true;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.has_ended {
            self.seen.cancel();
        }
    }
}

struct Service;

type Responses = BoxStream<'static, Result<StreamingOutputCallResponse, Status>>;

#[tonic::async_trait]
impl TestService for Service {
    type StreamingOutputCallStream = Responses;
    type FullDuplexCallStream = Responses;

    async fn empty_call(&self, _: tonic::Request<Empty>) -> Result<tonic::Response<Empty>, Status> {
        Ok(tonic::Response::new(Empty {}))
    }

    async fn unary_call(
        &self,
        request: tonic::Request<SimpleRequest>,
    ) -> Result<tonic::Response<SimpleResponse>, Status> {
        let request = request.into_inner();
        check(request.response_status)?;
        Ok(tonic::Response::new(SimpleResponse { payload: Some(payload(request.response_size)) }))
    }

    async fn streaming_output_call(
        &self,
        request: tonic::Request<StreamingOutputCallRequest>,
    ) -> Result<tonic::Response<Responses>, Status> {
        let requests = stream::iter([Ok(request.into_inner())]).boxed();
        let mut responses = responses(requests).peekable();
        Pin::new(&mut responses).peek().await;
        Ok(tonic::Response::new(responses.boxed()))
    }

    async fn streaming_input_call(
        &self,
        request: tonic::Request<Streaming<StreamingInputCallRequest>>,
    ) -> Result<tonic::Response<StreamingInputCallResponse>, Status> {
        let mut requests = request.into_inner();
        let mut total = 0;
        while let Some(request) = requests.try_next().await? {
            total += request.payload.map_or(0, |payload| payload.body.len());
        }
        let total = i32::try_from(total).map_err(|error| Status::out_of_range(error.to_string()))?;
        Ok(tonic::Response::new(StreamingInputCallResponse { aggregated_payload_size: total }))
    }

    async fn full_duplex_call(
        &self,
        request: tonic::Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<tonic::Response<Responses>, Status> {
        Ok(tonic::Response::new(responses(request.into_inner().boxed())))
    }
}

/// A call with responses, and those that it still has to give before it looks at the next request.
struct Dialogue {
    requests: BoxStream<'static, Result<StreamingOutputCallRequest, Status>>,
    due: VecDeque<ResponseParameters>,
}

fn responses(requests: BoxStream<'static, Result<StreamingOutputCallRequest, Status>>) -> Responses {
    stream::try_unfold(Dialogue { requests, due: VecDeque::new() }, Dialogue::next).boxed()
}

impl Dialogue {
    async fn next(mut self) -> Result<Option<(StreamingOutputCallResponse, Self)>, Status> {
        loop {
            if let Some(asked) = self.due.pop_front() {
                if asked.interval_us > 0 {
                    tokio::time::sleep(Duration::from_micros(asked.interval_us as u64)).await;
                }
                return Ok(Some((StreamingOutputCallResponse { payload: Some(payload(asked.size)) }, self)));
            }
            let Some(request) = self.requests.try_next().await? else {
                return Ok(None);
            };
            check(request.response_status)?;
            self.due.extend(request.response_parameters);
        }
    }
}

fn check(status: Option<EchoStatus>) -> Result<(), Status> {
    status.map_or(Ok(()), |status| Err(Status::new(Code::from(status.code), status.message)))
}

fn payload(size: i32) -> Payload {
    Payload { body: vec![0; size as usize] }
}
