//! One request's line in the access log and its place in the counts.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method, Uri};
use tokio::time::Instant;
use trellis_core::{Code, InstanceId, ServiceName, TraceContext};
use trellis_net::Progress;

use super::stats::Outcome;
use super::worker::Worker;
use crate::table::Route;

/// Kept from a request's head to the last byte of its answer, or to where it breaks off. Writes itself when dropped.
#[derive(Debug)]
pub(super) struct Record {
    worker: Arc<Worker>,
    /// It will be written whatever happens.
    sampled: bool,
    start: Instant,
    method: Method,
    uri: Uri,
    request_id: HeaderValue,
    trace: TraceContext,
    pub(super) route: Option<Arc<Route>>,
    pub(super) service: Option<ServiceName>,
    pub(super) instance: Option<InstanceId>,
    pub(super) attempts: u32,
    pub(super) upload: Arc<Progress>,
    pub(super) bytes_out: u64,
    /// 0 until there is an answer.
    pub(super) status: u16,
    /// Something that went wrong inside an answer that was given all the same.
    pub(super) partly: Option<String>,
    outcome: Outcome,
}

/// What is known of a request when it begins.
pub(super) struct Begin<'r> {
    pub(super) head: &'r Parts,
    pub(super) request_id: &'r HeaderValue,
    pub(super) trace: TraceContext,
}

impl Record {
    /// Begins a record: from here on the request is under way.
    pub(super) fn begin(worker: &Arc<Worker>, request: &Begin<'_>) -> Self {
        worker.counters().begin();
        let options = &worker.shared.options;
        Self {
            worker: Arc::clone(worker),
            sampled: options.access_log && options.access_log_sample.includes(fastrand::f64()),
            start: Instant::now(),
            method: request.head.method.clone(),
            uri: request.head.uri.clone(),
            request_id: request.request_id.clone(),
            trace: request.trace,
            route: None,
            service: None,
            instance: None,
            attempts: 0,
            upload: Arc::default(),
            bytes_out: 0,
            status: 0,
            partly: None,
            // Until something else happens, a record that is dropped is one whose client has gone.
            outcome: Outcome::ClientGone,
        }
    }

    /// The gateway gives the answer, or the answer broke off.
    pub(super) fn failed(&mut self, code: Code) {
        self.outcome = Outcome::Failed(code);
    }

    /// The last byte of the answer has gone out.
    pub(super) fn complete(mut self) {
        if self.outcome == Outcome::ClientGone {
            self.outcome = Outcome::Status(self.status);
        }
    }

    /// Whether the instance will be asked for: a count of references less to touch if not.
    pub(super) fn tells_instance(&self, went_well: bool) -> bool {
        self.sampled || (!went_well && self.worker.shared.options.access_log)
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.worker.counters().end(self.outcome);
        let went_wrong = self.outcome.flag().is_some() || self.partly.is_some() || self.status >= 500;
        if !(self.sampled || went_wrong && self.worker.shared.options.access_log) {
            return;
        }
        tracing::info!(
            target: "access",
            method = %self.method,
            // Without the query, which may hold secrets.
            path = self.uri.path(),
            route = self.route.as_ref().map(|route| &*route.path),
            service = self.service.as_ref().map(ServiceName::as_str),
            instance = self.instance.as_ref().map(InstanceId::as_str),
            status = self.status,
            duration_us = self.start.elapsed().as_micros() as u64,
            bytes_in = self.upload.bytes(),
            bytes_out = self.bytes_out,
            attempts = self.attempts,
            request_id = self.request_id.to_str().unwrap_or_default(),
            trace_id = format!("{:032x}", self.trace.trace_id),
            flag = self.outcome.flag().or(self.partly.as_deref()),
        );
    }
}
