//! How the door says no.

use std::error::Error as _;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::Method;
use axum::http::header::ALLOW;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::error;
use trellis_core::error::chain;
use trellis_core::{Error, codes, headers};
use trellis_net::problem;

/// An error on its way out; [`write`] makes the document, because only it knows the request's id.
#[derive(Clone)]
pub(super) struct Refusal(Arc<Error>);

/// What a handler answers.
pub(super) type Reply<T> = Result<T, Refusal>;

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

/// Turns refusals into problem documents that name the request.
pub(super) async fn write(request: Request, next: Next) -> Response {
    let id = request.headers().get(headers::REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
    let mut inner = next.run(request).await;
    let Some(Refusal(refused)) = inner.extensions_mut().remove::<Refusal>() else { return inner };
    if refused.source().is_some() && refused.status() >= 500 {
        error!(request_id = id.as_deref(), error = chain(&*refused), "the configuration failed");
    }
    let mut response = problem::response(&refused, id.as_deref());
    if let Some(allow) = inner.headers_mut().remove(ALLOW) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

pub(super) async fn method_not_allowed(method: Method) -> Refusal {
    let text = format!("{method} is not allowed here; the Allow header lists what is");
    Error::new(codes::METHOD_NOT_ALLOWED, text).into()
}
