//! What every request to a module goes through, over the network or in the process.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::HeaderValue;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, error, warn};
use trellis_core::error::{Blame, chain};
use trellis_core::{Error, ServiceName, codes, headers};

use crate::context::{self, RequestContext};
use crate::http::{Cause, Failure};

/// Gives the request its context, ends it at the caller's deadline, turns a panic into a 500, and writes the one log
/// line of a failure.
pub(super) async fn enter(State(module): State<ServiceName>, request: Request, next: Next) -> Response {
    let context = RequestContext::receive(module, request.headers(), Instant::now(), context::random());
    context::scope(context.clone(), serve(context, request, next)).await
}

async fn serve(context: RequestContext, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let handler = AssertUnwindSafe(next.run(request)).catch_unwind();
    let outcome =
        match context.deadline {
            Some(deadline) => match timeout_at(deadline, handler).await {
                Ok(outcome) => outcome,
                Err(_) => Ok(Failure(Error::new(codes::DEADLINE_EXCEEDED, "the caller's deadline passed"))
                    .into_response()),
            },
            None => handler.await,
        };
    let mut response = outcome.unwrap_or_else(|panic| {
        let what =
            panic.downcast_ref::<&str>().map(ToString::to_string).or(panic.downcast_ref::<String>().cloned());
        let error =
            Error::new(codes::INTERNAL, "the service failed").because(what.unwrap_or("a panic".into()));
        Failure(error).into_response()
    });
    if let Some(Cause(error)) = response.extensions().get::<Cause>().cloned() {
        log(&error, method.as_str(), &path);
    }
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        response.headers_mut().insert(headers::REQUEST_ID, id);
    }
    response
}

fn log(failure: &Arc<Error>, method: &str, path: &str) {
    let code = failure.code();
    let text = chain(&**failure);
    match code.blame {
        Blame::Us => error!(code = code.id, method, path, error = text, "request failed"),
        Blame::Upstream => warn!(code = code.id, method, path, error = text, "request failed"),
        Blame::Client => debug!(code = code.id, method, path, error = text, "request refused"),
    }
}
