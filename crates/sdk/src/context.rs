//! What travels with a request through a service: its trace, its id and its deadline.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use trellis_core::{ServiceName, TraceContext, headers};

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// Belongs to the request that the running task serves. Calls made while serving it carry it on.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The module that serves the request.
    pub module: ServiceName,
    /// The trace, with the span of this request in this service.
    pub trace: TraceContext,
    /// The id the edge gave the request.
    pub request_id: Arc<str>,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

/// The context of the request that the running task serves; none outside of one.
pub fn current() -> Option<RequestContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Runs `work` under `context`, for work that goes on in a task of its own.
pub async fn scope<F: Future>(context: RequestContext, work: F) -> F::Output {
    CURRENT.scope(context, work).await
}

const MAX_ID_BYTES: usize = 128;

impl RequestContext {
    /// A context of our own making, for work that no request asked for. `random` are 192 random bits.
    pub fn root(module: ServiceName, random: (u128, u64)) -> Self {
        let trace = TraceContext::root(random.0, random.1, true);
        Self { module, trace, request_id: format!("{:032x}", trace.trace_id).into(), deadline: None }
    }

    /// Reads what the caller sent; what is missing or not valid is made anew.
    pub(crate) fn receive(
        module: ServiceName,
        received: &HeaderMap,
        now: Instant,
        random: (u128, u64),
    ) -> Self {
        let text = |name: HeaderName| received.get(name).and_then(|v| v.to_str().ok());
        let mut context = Self::root(module, random);
        if let Some(parent) = text(headers::TRACEPARENT).and_then(|t| t.parse::<TraceContext>().ok()) {
            context.trace = parent.child(random.1);
        }
        let sane =
            |id: &&str| (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        if let Some(id) = text(headers::REQUEST_ID).filter(sane) {
            context.request_id = id.into();
        }
        context.deadline = text(headers::TIMEOUT_MS)
            .and_then(|ms| ms.parse::<u32>().ok())
            .map(|ms| now + Duration::from_millis(ms.into()));
        context
    }

    /// Writes what the next service needs, where the caller has not said otherwise. The deadline is written by whoever
    /// sends the request, last.
    pub(crate) fn send(&self, out: &mut HeaderMap) {
        let mut put = |name: HeaderName, text: &str| {
            if let Ok(value) = HeaderValue::from_str(text) {
                out.entry(name).or_insert(value);
            }
        };
        put(headers::TRACEPARENT, &self.trace.to_string());
        put(headers::REQUEST_ID, &self.request_id);
    }
}

/// Random bits for a trace id and a span id.
pub(crate) fn random() -> (u128, u64) {
    (fastrand::u128(..), fastrand::u64(..))
}
