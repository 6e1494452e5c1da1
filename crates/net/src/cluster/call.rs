//! Sending a request to a cluster.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{HeaderValue, Request};
use tokio::time::{Instant, sleep, timeout_at};
use trellis_core::error::{Result, Retry};
use trellis_core::{Code, Error, codes};
use trellis_resilience::RetryPolicy;

use super::attempt::Flight;
use super::learn::{Ending, now};
use super::retry::unwanted;
use super::target::Tried;
use super::{Answer, Cluster};
use crate::client::Reply;
use crate::{Body, Outgoing};

/// What is known of a request beside the request itself.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    /// Whose connections it goes over.
    pub worker: usize,
    /// When nobody waits for the answer to begin any more. The instance is told; to wait no longer is left to the
    /// caller.
    pub deadline: Instant,
    /// Requests of the same hash go to the same instance, if the cluster balances by that.
    pub hash: Option<u64>,
    /// When it is sent again.
    pub retry: Option<&'c RetryPolicy>,
    /// What the instance is called in the request; its address if there is none.
    pub host: Option<&'c HeaderValue>,
}

impl Call<'_> {
    /// A call without a key that is sent once.
    pub fn once(worker: usize, deadline: Instant) -> Self {
        Self { worker, deadline, hash: None, retry: None, host: None }
    }
}

impl Cluster {
    /// Sends `request` and waits up to `within` for the response's head; the body follows in its own time. It is sent
    /// again as the cluster's own policy says; see [`send`](Self::send).
    pub async fn call(&self, request: Request<Body>, within: Duration) -> Result<Answer> {
        let deadline = Instant::now() + within;
        let mut flight = Flight::default();
        let mut request = request.map(Outgoing::from);
        let call = Call { retry: self.retry(), ..Call::once(0, deadline) };
        let sent = timeout_at(deadline, self.send(call, &mut request, &mut flight)).await;
        match sent {
            Err(_) => Err(self.late(flight, within >= self.options.blame_after)),
            Ok(Err(error)) => Err(error),
            Ok(Ok(Reply::Switched(..))) => {
                Err(self.error(codes::UPSTREAM_INVALID, "changed the protocol without being asked"))
            }
            Ok(Ok(Reply::Answer(response))) => {
                let instance = flight.instance().cloned().ok_or_else(|| {
                    self.error(codes::INTERNAL, "answered, but nobody knows which instance did")
                })?;
                let attempts = flight.attempts;
                let response = response.map(|body| Body::new(flight.until_read(body)));
                Ok(Answer { response, instance, attempts })
            }
        }
    }

    /// Sends `request` and waits for the head of the response, without a limit of its own; see [`late`](Self::late).
    ///
    /// A connection that cannot be made is tried on another instance, `connect_retries` times, and a kept connection
    /// that turns out to be dead is replaced once, if nothing of the request can have arrived or if it is idempotent.
    /// What else is sent again is for the policy of the `call` to say. Errors are those of the TRL1003 to TRL1008
    /// group, and TRL1014 where a limit of the cluster is reached.
    pub async fn send(
        &self,
        call: Call<'_>,
        request: &mut Request<Outgoing>,
        flight: &mut Flight,
    ) -> Result<Reply> {
        self.enter(flight)?;
        if call.retry.is_some() {
            self.shard(call.worker).requests.fetch_add(1, Ordering::Relaxed);
        }
        let members = self.members(call.worker);
        let mut tried = Tried::default();
        let mut next = self.choose(&members, call.hash, &mut tried)?;
        let (mut others, mut repeats) = (0, 0);
        loop {
            flight.attempts += 1;
            let attempt = flight.attempt.insert(next);
            let failed = match self.attempt(&call, request, attempt).await {
                Ok(reply) => match unwanted(self, &call, request, reply) {
                    Ok(reply) => return Ok(self.arrived(flight, reply)),
                    Err(failed) => failed,
                },
                Err(failed) => failed,
            };
            if failed.is_unconnected()
                && others < self.options.connect_retries
                && let Ok(other) = self.choose(&members, call.hash, &mut tried)
            {
                others += 1;
                self.counters.retries.fetch_add(1, Ordering::Relaxed);
                next = other;
                continue;
            }
            let Some(after) = self.again(&call, request.method(), &failed, repeats) else {
                return failed.outcome.map(|reply| self.arrived(flight, reply));
            };
            repeats += 1;
            attempt.rest();
            // An answer that is thrown away is let go of before the wait.
            let last = failed.outcome.err();
            if !after.is_zero() {
                Box::pin(sleep(after)).await;
            }
            next = if let Ok(other) = self.choose(&members, call.hash, &mut tried) {
                other
            } else {
                // All have been asked: then the same one once more.
                tried = Tried::default();
                self.choose(&members, call.hash, &mut tried).map_err(|nobody| last.unwrap_or(nobody))?
            };
        }
    }

    /// The caller waits no longer for the answer that `flight` was to bring. `blame` says whether the instance had time
    /// enough to answer.
    pub fn late(&self, mut flight: Flight, blame: bool) -> Error {
        if let Some(attempt) = &mut flight.attempt {
            self.learn(attempt, if blame { Ending::Failure } else { Ending::Nothing });
        }
        if blame {
            flight.took(true, now());
        }
        self.error(codes::UPSTREAM_TIMEOUT, "did not answer in time")
    }

    /// Whether an instance that had `within` to answer is to be blamed for not doing so.
    pub fn is_long(&self, within: Duration) -> bool {
        within >= self.options.blame_after
    }

    fn enter(&self, flight: &mut Flight) -> Result<()> {
        let Some(limit) = &self.limit else { return Ok(()) };
        flight.enter(limit, now()).map_err(|full| {
            self.counters.over_limit.fetch_add(1, Ordering::Relaxed);
            self.error(codes::OVERLOADED, "has as many requests under way as it may")
                .retry(Retry::After(full.retry_after))
        })
    }

    fn arrived(&self, flight: &Flight, reply: Reply) -> Reply {
        if self.limit.is_some() {
            let is_overloaded = match &reply {
                Reply::Answer(response) => matches!(response.status().as_u16(), 503 | 504),
                Reply::Switched(..) => false,
            };
            flight.took(is_overloaded, now());
        }
        reply
    }

    pub(super) fn error(&self, code: Code, what: &str) -> Error {
        Error::new(code, format!("{} {what}", self.name)).with("service", self.name.as_str())
    }
}
