//! tonic's server.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use http::{HeaderName, HeaderValue};
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

/// Starts the server.
pub(crate) async fn start() -> Result<Server> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let seen = Arc::new(Seen::default());
    let service = Routes::new(TestServiceServer::new(Service(seen.clone())));
    let router = service.into_axum_router().layer(from_fn(echo));
    let task = tokio::spawn(async move {
        // It runs until the test ends.
        let _ = axum::serve(listener, router).await;
    });
    Ok(Server { address, seen, task })
}

/// Sends back the metadata that ask for it; tonic has no trailers of a method's own for calls that go well.
async fn echo(request: Request, next: Next) -> Response {
    let initial = request.headers().get(ECHO_INITIAL).cloned();
    let trailing = request.headers().get(ECHO_TRAILING).cloned();
    let mut response = next.run(request).await;
    if let Some(value) = initial {
        response.headers_mut().insert(ECHO_INITIAL, value);
    }
    match trailing {
        Some(value) => response.map(|body| Body::new(body.map_frame(move |frame| with(frame, &value)))),
        None => response,
    }
}

fn with<D>(frame: Frame<D>, value: &HeaderValue) -> Frame<D> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            trailers.insert(ECHO_TRAILING, value.clone());
            Frame::trailers(trailers)
        }
        Err(data) => data,
    }
}

struct Service(Arc<Seen>);

/// A call that was cancelled if it is dropped before it has ended.
struct Open {
    seen: Arc<Seen>,
    has_ended: bool,
}

impl Service {
    fn begin(&self) -> Open {
        self.0.begin();
        Open { seen: self.0.clone(), has_ended: false }
    }
}

impl Open {
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

type Responses = BoxStream<'static, Result<StreamingOutputCallResponse, Status>>;

#[tonic::async_trait]
impl TestService for Service {
    type StreamingOutputCallStream = Responses;
    type FullDuplexCallStream = Responses;

    async fn empty_call(&self, _: tonic::Request<Empty>) -> Result<tonic::Response<Empty>, Status> {
        self.begin().end();
        Ok(tonic::Response::new(Empty {}))
    }

    async fn unary_call(
        &self,
        request: tonic::Request<SimpleRequest>,
    ) -> Result<tonic::Response<SimpleResponse>, Status> {
        self.begin().end();
        let request = request.into_inner();
        check(request.response_status)?;
        Ok(tonic::Response::new(SimpleResponse { payload: Some(payload(request.response_size)) }))
    }

    async fn streaming_output_call(
        &self,
        request: tonic::Request<StreamingOutputCallRequest>,
    ) -> Result<tonic::Response<Responses>, Status> {
        let requests = stream::iter([Ok(request.into_inner())]).boxed();
        let mut responses = responses(self.begin(), requests).peekable();
        Pin::new(&mut responses).peek().await;
        Ok(tonic::Response::new(responses.boxed()))
    }

    async fn streaming_input_call(
        &self,
        request: tonic::Request<Streaming<StreamingInputCallRequest>>,
    ) -> Result<tonic::Response<StreamingInputCallResponse>, Status> {
        let mut open = self.begin();
        let mut requests = request.into_inner();
        let mut aggregated_payload_size = 0;
        while let Some(request) = requests.try_next().await? {
            aggregated_payload_size += request.payload.map_or(0, |payload| payload.body.len()) as i32;
        }
        open.end();
        Ok(tonic::Response::new(StreamingInputCallResponse { aggregated_payload_size }))
    }

    async fn full_duplex_call(
        &self,
        request: tonic::Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<tonic::Response<Responses>, Status> {
        Ok(tonic::Response::new(responses(self.begin(), request.into_inner().boxed())))
    }
}

/// A call with responses, and those that it still has to give before it looks at the next request.
struct Dialogue {
    open: Open,
    requests: BoxStream<'static, Result<StreamingOutputCallRequest, Status>>,
    due: VecDeque<ResponseParameters>,
}

fn responses(
    open: Open,
    requests: BoxStream<'static, Result<StreamingOutputCallRequest, Status>>,
) -> Responses {
    stream::try_unfold(Dialogue { open, requests, due: VecDeque::new() }, Dialogue::next).boxed()
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
                self.open.end();
                return Ok(None);
            };
            check(request.response_status).inspect_err(|_| self.open.end())?;
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
