//! Whether a failed attempt is followed by another.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Method, Request};
use tokio::time::Instant;
use trellis_core::Error;
use trellis_resilience::retry::{self, Decision, Failure, Reason};

use super::call::Call;
use super::learn::now;
use super::{Cluster, Shard};
use crate::Outgoing;
use crate::client::Reply;

/// An attempt that did not bring what was wanted.
#[derive(Debug)]
pub(super) struct Failed {
    /// How; `None` if that is nobody's fault who could do better.
    pub(super) failure: Option<Failure>,
    /// Whether something of the request may have reached the instance.
    pub(super) may_have_arrived: bool,
    /// Whether the body can be sent from its beginning.
    pub(super) is_whole: bool,
    pub(super) retry_after: Option<Duration>,
    /// What the caller gets if there is no other attempt: an error, or the answer with the status that is not wanted.
    pub(super) outcome: Result<Reply, Error>,
}

impl Failed {
    /// Nothing was sent, and all of it can be sent elsewhere.
    pub(super) fn is_unconnected(&self) -> bool {
        self.failure == Some(Failure::Connect) && self.is_whole
    }
}

impl Cluster {
    /// How long to wait before another attempt; `None` if there is to be none.
    pub(super) fn again(
        &self,
        call: &Call<'_>,
        method: &Method,
        failed: &Failed,
        repeats: u32,
    ) -> Option<Duration> {
        let (policy, failure) = (call.retry?, failed.failure?);
        let attempt = retry::Attempt {
            failure,
            method_idempotent: policy.repeats(method.as_str(), method.is_idempotent()),
            body_replayable: failed.is_whole,
            bytes_may_have_arrived: failed.may_have_arrived,
            attempt: repeats,
            remaining_deadline: Some(call.deadline.saturating_duration_since(Instant::now())),
            retry_after: failed.retry_after,
        };
        let now = now();
        // Requests are counted where they come in, so that no worker waits for another's count.
        let requests = self.shards.iter().map(Shard::take_requests).fold(0, u32::saturating_add);
        self.budget.deposit(requests, now);
        let counter = match policy.decide(&attempt, &self.budget, now, fastrand::f64()) {
            Decision::Again { after } => {
                self.counters.retries.fetch_add(1, Ordering::Relaxed);
                return Some(after);
            }
            Decision::Stop(Reason::NoBudget) => &self.counters.denied,
            Decision::Stop(_) => return None,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// Turns an answer into a failure if the policy wants another one for its status.
pub(super) fn unwanted(
    cluster: &Cluster,
    call: &Call<'_>,
    request: &mut Request<Outgoing>,
    reply: Reply,
) -> Result<Reply, Box<Failed>> {
    let (Some(policy), Reply::Answer(response)) = (call.retry, &reply) else { return Ok(reply) };
    let status = response.status().as_u16();
    if status < 400 || !policy.on.covers(Failure::Status(status)) {
        return Ok(reply);
    }
    Err(Box::new(Failed {
        failure: Some(Failure::Status(status)),
        may_have_arrived: true,
        // Put back before, if it could be had twice.
        is_whole: request.body_mut().restore(None),
        retry_after: cluster.asks_for(status, response.headers()),
        outcome: Ok(reply),
    }))
}
