//! An error as an HTTP response.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use trellis_core::error::Retry;
use trellis_core::problem::MEDIA_TYPE;
use trellis_core::{Error, Problem, headers};

use crate::Body;

/// The problem document for `error` as a module's own answer; see [`document`].
pub fn response(error: &Error, request_id: Option<&str>) -> Response<Body> {
    let mut response = document(error, request_id).map(Body::from);
    response.headers_mut().remove(headers::PROXY);
    response
}

/// The problem document for `error` as a proxy's answer in place of the service's, which is told apart by
/// [`headers::PROXY`]. With `Retry-After` where trying again makes sense and the request id for whoever
/// looks into it.
pub fn document(error: &Error, request_id: Option<&str>) -> Response<Bytes> {
    let problem = Problem { request_id: request_id.map(Into::into), ..Problem::from(error) };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() =
        StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    out.insert(headers::PROXY, HeaderValue::from_static("1"));
    if let Retry::After(wait) = error.retry_advice() {
        out.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    }
    if let Some(id) = request_id.and_then(|id| HeaderValue::from_str(id).ok()) {
        out.insert(headers::REQUEST_ID, id);
    }
    response
}

/// `Retry-After` has whole seconds only, and 0 would invite a busy loop.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs_f64().ceil().max(1.0) as u64
}
