//! How a door that speaks JSON says no.

use std::convert::Infallible;
use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use pin_project_lite::pin_project;
use tower::Service;
use tracing::error;
use trellis_core::error::chain;
use trellis_core::{Error, codes, headers};
use utoipa::ToSchema;

use crate::problem;

/// An error on its way out; [`Written`] makes the document, because only it knows the request's id.
#[derive(Debug, Clone)]
pub struct Refusal(Arc<Error>);

/// What a handler answers.
pub type Reply<T> = Result<T, Refusal>;

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(Arc::new(error.into()))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

/// Stands around all handlers of a door: turns refusals into problem documents that name the request, and logs those
/// that the platform itself is to blame for.
#[derive(Debug, Clone)]
pub struct Written<S>(pub S);

impl<S> Service<Request> for Written<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Writing<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let id = request.headers().get(headers::REQUEST_ID).cloned();
        Writing { inner: self.0.call(request), id }
    }
}

pin_project! {
    /// An answer, which may be a refusal.
    pub struct Writing<F> {
        #[pin]
        inner: F,
        id: Option<HeaderValue>,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for Writing<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut answer) = ready!(this.inner.poll(cx));
        if let Some(Refusal(refused)) = answer.extensions_mut().remove::<Refusal>() {
            let id = this.id.as_ref().and_then(|id| id.to_str().ok());
            answer = write(&refused, id, answer);
        }
        Poll::Ready(Ok(answer))
    }
}

/// The document, in place of what the handler left empty.
fn write(refused: &Error, id: Option<&str>, mut empty: Response) -> Response {
    if refused.source().is_some() && refused.status() >= 500 {
        error!(
            request_id = id,
            code = refused.code().id,
            error = chain(refused),
            "the platform could not do what was asked"
        );
    }
    let mut response = problem::response(refused, id);
    if let Some(allow) = empty.headers_mut().remove(ALLOW) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// For a router's fallback: the path is there, the method is not.
#[expect(clippy::unused_async, reason = "a handler is asynchronous")]
pub async fn method_not_allowed(method: Method) -> Refusal {
    let text = format!("{method} is not allowed here; the Allow header lists what is");
    Error::new(codes::METHOD_NOT_ALLOWED, text).into()
}

/// What a client is told about a failure (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "read by the derive only")]
pub struct ProblemSchema {
    /// `urn:trellis:error:` and the code.
    #[schema(rename = "type")]
    kind: String,
    /// The same for every occurrence of the code.
    title: String,
    /// HTTP status.
    status: u16,
    /// About this occurrence.
    detail: String,
    /// The stable code, such as TRL2004.
    code: String,
    /// Who has to act: client, upstream or us.
    #[schema(required = false, nullable = false)]
    blame: Option<String>,
    /// Milliseconds to wait before the same request may be sent again; absent when it must not be.
    #[schema(required = false, nullable = false)]
    retry_after_ms: Option<u64>,
    /// The request this is about.
    #[schema(required = false, nullable = false)]
    request_id: Option<String>,
}

/// The JSON pointer (RFC 6901) of a place in a body that was read.
pub fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    path.iter().map(segment).collect()
}
