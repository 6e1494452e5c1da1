//! What every request to one of the platform's own doors goes through, written as one service: a layer of axum's costs
//! each request two allocations, and these doors answer a hundred thousand in a second.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use pin_project_lite::pin_project;
use tower::Service;
use trellis_core::{Error, codes};
use trellis_net::refusal::{Writing, Written};
use trellis_net::{Body, body};

use super::{answer, guard};
use crate::door_counts::{DoorCounts, UnderWay};

/// A door: keeps web pages out of an API that has no authentication, however they get at its address; bounds bodies; counts;
/// and writes what its handlers refuse.
#[derive(Clone)]
pub(crate) struct Gate {
    router: Written<Router>,
    at_once: AtOnce,
    max_body: Option<u64>,
    counts: DoorCounts,
}

/// Answers what is asked most often; none for the rest, which the router answers.
type AtOnce = Arc<dyn Fn(&Request) -> Option<Response> + Send + Sync>;

impl Gate {
    /// Around `router`, which bounds bodies itself.
    pub(crate) fn new(router: Router, counts: DoorCounts) -> Self {
        Self { router: Written(router), at_once: Arc::new(|_| None), max_body: None, counts }
    }

    /// The same, where this is asked before the router.
    pub(super) fn at_once(
        self,
        answer: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        Self { at_once: Arc::new(answer), ..self }
    }

    /// The same, with at most so many bytes in the body of a request.
    pub(super) fn max_body(self, bytes: u64) -> Self {
        Self { max_body: Some(bytes), ..self }
    }
}

impl Service<Request> for Gate {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.router.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Answering {
        let under_way = self.counts.begin();
        if let Err(text) = guard::check(request.uri(), request.headers()) {
            let refused = answer::refuse(request.headers(), &Error::new(codes::FORBIDDEN_HOST, text));
            return Answering { under_way, step: Step::There { answer: Some(refused) } };
        }
        if let Some(answer) = (self.at_once)(&request) {
            return Answering { under_way, step: Step::There { answer: Some(answer) } };
        }
        if let Some(most) = self.max_body {
            request = request.map(|inner: Body| body::limit(inner, most));
        }
        Answering { under_way, step: Step::Asked { answer: self.router.call(request) } }
    }
}

pin_project! {
    /// The answer to one request.
    pub(crate) struct Answering {
        under_way: UnderWay,
        #[pin]
        step: Step,
    }
}

pin_project! {
    #[project = StepOf]
    enum Step {
        There { answer: Option<Response> },
        Asked {
            #[pin]
            answer: Writing<RouteFuture<Infallible>>,
        },
    }
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = match this.step.project() {
            StepOf::There { answer } => answer.take().unwrap_or_default(),
            StepOf::Asked { answer } => {
                let Ok(answer) = ready!(answer.poll(cx));
                answer
            }
        };
        this.under_way.answered(response.status());
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use http::StatusCode;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn who_may_not_ask_gets_nothing_at_once_either() {
        let counts = DoorCounts::default();
        let router =
            Router::new().route("/often", get(|| async { "router" })).route("/", get(|| async { "router" }));
        let gate = Gate::new(router, counts.clone())
            .at_once(|request| (request.uri().path() == "/often").then(|| Response::new("at once".into())));
        let ask = async |host: &str, path: &str| {
            let request = Request::builder().uri(path).header("host", host).body(Body::empty()).unwrap();
            let response = gate.clone().oneshot(request).await.unwrap();
            let status = response.status();
            (status, axum::body::to_bytes(response.into_body(), 1 << 10).await.unwrap())
        };
        assert_eq!(ask("localhost", "/often").await, (StatusCode::OK, "at once".into()));
        assert_eq!(ask("localhost", "/").await, (StatusCode::OK, "router".into()));
        assert_eq!(ask("evil.example", "/often").await.0, StatusCode::FORBIDDEN);
        let counted: Vec<_> = counts.by_class().map(|(_, count)| count).collect();
        assert_eq!(counted, [0, 2, 0, 1, 0]);
    }
}
