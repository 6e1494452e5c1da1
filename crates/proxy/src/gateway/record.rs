//! One request's line in the access log and its place in the counts.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method, Uri, Version};
use tokio::time::Instant;
use trellis_core::{Code, InstanceId, TraceContext};
use trellis_net::Progress;
use trellis_resilience::limit::Permit;

use super::incoming::Incoming;
use super::stats::Outcome;
use super::worker::{Snapshot, Tunnels, Worker};
use crate::metrics::StatusClass;

/// Kept from a request's head to the last byte of its answer, or to where it breaks off. Writes itself when dropped.
#[derive(Debug)]
pub(super) struct Record {
    worker: Arc<Worker>,
    /// What was in force when it came.
    snapshot: Arc<Snapshot>,
    /// It will be written whatever happens.
    sampled: bool,
    pub(super) start: Instant,
    /// When limits and faults were done with it.
    pub(super) asked: Instant,
    client: Option<IpAddr>,
    version: Version,
    method: Method,
    uri: Uri,
    request_id: HeaderValue,
    trace: TraceContext,
    /// The index of its route.
    pub(super) route: Option<usize>,
    /// Its place among the requests of the route.
    pub(super) permit: Option<Permit>,
    /// The index of what it was sent to. A number, since workers would fight over a shared name's count of references.
    pub(super) upstream: Option<usize>,
    pub(super) instance: Option<InstanceId>,
    pub(super) attempts: u32,
    pub(super) upload: Arc<Progress>,
    pub(super) bytes_out: u64,
    /// Bytes to the service in another protocol.
    tunnelled: u64,
    /// 0 until there is an answer.
    pub(super) status: u16,
    /// Something that went wrong inside an answer that was given all the same.
    pub(super) partly: Option<String>,
    outcome: Outcome,
}

impl Record {
    /// Begins a record: from here on the request is under way.
    pub(super) fn begin(
        worker: &Arc<Worker>,
        snapshot: &Arc<Snapshot>,
        head: &Parts,
        incoming: &Incoming,
    ) -> Self {
        worker.counters().begin();
        worker.shared.metrics.gateway().request_begins(worker.index);
        let (options, start) = (&worker.shared.options, Instant::now());
        Self {
            worker: Arc::clone(worker),
            snapshot: Arc::clone(snapshot),
            sampled: options.access_log && options.access_log_sample.includes(fastrand::f64()),
            start,
            asked: start,
            client: incoming.client.address,
            version: head.version,
            method: head.method.clone(),
            uri: head.uri.clone(),
            request_id: incoming.request_id.clone(),
            trace: incoming.trace,
            route: None,
            permit: None,
            upstream: None,
            instance: None,
            attempts: 0,
            upload: Arc::default(),
            bytes_out: 0,
            tunnelled: 0,
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

    /// Where those are that do not speak HTTP any more.
    pub(super) fn tunnels(&self) -> &Tunnels {
        &self.worker.tunnels
    }

    /// A tunnel has carried so many bytes to the service, and to the client.
    pub(super) fn carried(&mut self, up: u64, down: u64) {
        (self.tunnelled, self.bytes_out) = (up, down);
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // Its place is free before it is counted as ended.
        self.permit = None;
        self.worker.counters().end(self.outcome);
        let (worker, metrics, took) = (self.worker.index, &self.worker.shared.metrics, self.start.elapsed());
        metrics.gateway().request_ends(worker);
        if let Outcome::Failed(code) = self.outcome {
            metrics.gateway().refused(worker, code);
        }
        let bytes_in = self.upload.bytes() + self.tunnelled;
        let route =
            self.route.map(|index| (&self.snapshot.table.routes[index], &self.snapshot.routes[index]));
        if let Some((_, state)) = route {
            state.metrics.record(worker, StatusClass::of(self.status), took, bytes_in, self.bytes_out);
        }
        let went_wrong = self.outcome.flag().is_some() || self.partly.is_some() || self.status >= 500;
        if !(self.sampled || went_wrong && self.worker.shared.options.access_log) {
            return;
        }
        tracing::info!(
            target: "access",
            client = self.client.map(tracing::field::display),
            protocol = ?self.version,
            method = %self.method,
            // Without the query, which may hold secrets.
            path = self.uri.path(),
            route = route.map(|(route, _)| &*route.path),
            service = self.upstream.map(|index| self.snapshot.clusters[index].name().as_str()),
            instance = self.instance.as_ref().map(InstanceId::as_str),
            status = self.status,
            duration_us = took.as_micros() as u64,
            bytes_in,
            bytes_out = self.bytes_out,
            attempts = self.attempts,
            request_id = self.request_id.to_str().unwrap_or_default(),
            trace_id = format!("{:032x}", self.trace.trace_id),
            flag = self.outcome.flag().or(self.partly.as_deref()),
        );
    }
}
