//! A handler's failure as a response.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use trellis_core::Error;
use trellis_net::problem;

use crate::context;

/// What a handler returns when it fails: any error that is a [`trellis_core::Error`] or can become one, so that `?`
/// works.
#[derive(Debug)]
pub struct Failure(pub Error);

/// What most handlers return.
pub type Reply<T> = Result<T, Failure>;

/// The error behind a response, for the log line that is written where the request ends.
#[derive(Clone)]
pub(crate) struct Cause(pub(crate) Arc<Error>);

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let request_id = context::current().map(|c| c.request_id);
        let mut response = problem::response(&self.0, request_id.as_deref());
        response.extensions_mut().insert(Cause(Arc::new(self.0)));
        response
    }
}
