//! How the admin API says no.

use axum::extract::Request;
use axum::response::Response;
use trellis_core::{Error, codes, headers};
use trellis_net::problem;

/// The problem document for `error`, which names the request.
pub(super) fn refuse(request_headers: &http::HeaderMap, error: &Error) -> Response {
    let id = request_headers.get(headers::REQUEST_ID).and_then(|id| id.to_str().ok());
    problem::response(error, id)
}

pub(super) async fn not_found(request: Request) -> Response {
    let text = format!("the admin API has no {}; GET /openapi.json lists what it has", request.uri().path());
    refuse(request.headers(), &Error::new(codes::NOT_FOUND, text))
}

pub(super) async fn method_not_allowed(request: Request) -> Response {
    let text = format!("{} is not allowed here; the Allow header lists what is", request.method());
    refuse(request.headers(), &Error::new(codes::METHOD_NOT_ALLOWED, text))
}
