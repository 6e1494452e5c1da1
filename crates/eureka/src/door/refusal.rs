//! How the door says no: with a status that Eureka's clients know, and a text for people.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tracing::error;
use trellis_core::error::{Retry, chain};
use trellis_core::{Error, codes};

/// An error on its way out.
pub(crate) struct Refusal(Error);

/// What a handler answers.
pub(crate) type Reply<T> = Result<T, Refusal>;

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(refused) = self;
        let status = match refused.status() {
            // Eureka has no other word for what is not right in a request.
            422 => StatusCode::BAD_REQUEST,
            other => StatusCode::from_u16(other).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        };
        if status.is_server_error() && std::error::Error::source(&refused).is_some() {
            error!(error = chain(&refused), "the registry failed");
        }
        let mut response = (status, format!("{refused}\n")).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if let Retry::After(wait) = refused.retry_advice() {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}

/// An app that has no such instance. A client that hears this registers again.
pub(crate) fn unknown_instance(app: &str, id: &str) -> Error {
    let text =
        format!("no instance {id:?} of {app:?} is registered; its lease may have ended: register it again");
    Error::new(codes::NOT_FOUND, text)
}

pub(super) async fn method_not_allowed(method: Method) -> Refusal {
    let text = format!("{method} is not allowed here; the Allow header lists what is");
    Error::new(codes::METHOD_NOT_ALLOWED, text).into()
}

pub(super) async fn no_such_path() -> Refusal {
    Error::new(codes::NOT_FOUND, "there is no such operation; they are below /eureka and /eureka/v2").into()
}

/// What Eureka has and this door does not, and why.
pub(super) async fn not_offered(uri: Uri) -> Response {
    let reason = if uri.path().contains("/peerreplication") {
        "a trellis takes no copies from Eureka servers: nodes that belong together share one store"
    } else if uri.path().contains("/asg") {
        "there are no auto-scaling groups here"
    } else {
        "the last changes are not listed here; GET apps/delta has what became of instances"
    };
    (StatusCode::NOT_IMPLEMENTED, format!("{reason}\n")).into_response()
}
