//! One request's line in the access log and its place in the counts.

use std::sync::Arc;

use http::{HeaderValue, Method};
use tokio::time::Instant;
use trellis_core::{Code, InstanceId, ServiceName, TraceContext};

use super::body::Upload;
use super::stats::{Counters, Outcome};
use crate::table::Route;

/// Kept from a request's head to the last byte of its answer, or to where it breaks off. Writes itself when dropped.
#[derive(Debug)]
pub(super) struct Record {
    counters: Arc<Counters>,
    access_log: bool,
    start: Instant,
    method: Method,
    /// Without the query, which may hold secrets.
    path: Box<str>,
    request_id: HeaderValue,
    trace: TraceContext,
    pub(super) route: Option<Arc<Route>>,
    pub(super) service: Option<ServiceName>,
    pub(super) instance: Option<InstanceId>,
    pub(super) attempts: u32,
    pub(super) upload: Arc<Upload>,
    pub(super) bytes_out: u64,
    /// 0 until there is an answer.
    pub(super) status: u16,
    /// Something that went wrong inside an answer that was given all the same.
    pub(super) partly: Option<String>,
    outcome: Outcome,
}

/// What is known of a request when it begins.
pub(super) struct Begin<'r> {
    pub(super) method: &'r Method,
    pub(super) path: &'r str,
    pub(super) request_id: &'r HeaderValue,
    pub(super) trace: TraceContext,
}

impl Record {
    /// Begins a record; also says how many requests are under way with it.
    pub(super) fn begin(counters: &Arc<Counters>, access_log: bool, request: &Begin<'_>) -> (Self, u64) {
        let under_way = counters.begin();
        let record = Self {
            counters: Arc::clone(counters),
            access_log,
            start: Instant::now(),
            method: request.method.clone(),
            path: request.path.into(),
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
        };
        (record, under_way)
    }

    /// The gateway gives the answer, or the answer broke off.
    pub(super) fn failed(&mut self, code: Code) {
        self.outcome = Outcome::Failed(code);
    }

    /// The last byte of the answer has gone out.
    pub(super) fn complete(&mut self) {
        if self.outcome == Outcome::ClientGone {
            self.outcome = Outcome::Status(self.status);
        }
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.counters.end(self.outcome);
        if !self.access_log {
            return;
        }
        tracing::info!(
            target: "access",
            method = %self.method,
            path = &*self.path,
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
