//! Sending a request to a cluster.

use std::time::Duration;

use http::Request;
use tokio::time::{Instant, timeout_at};
use trellis_core::error::Result;
use trellis_core::{Code, Error, InstanceId, codes};
use trellis_resilience::breaker::Outcome;

use super::members::Attempt;
use super::target::Tried;
use super::{Answer, Cluster, request};
use crate::client::{Lease, Reply, SendError};
use crate::{Body, BoxError, Outgoing};

/// What is known of a request while it is on its way, for whoever waits for the answer and may have to say why it did
/// not come.
#[derive(Debug, Default)]
pub struct Flight {
    attempt: Option<Attempt>,
    /// Connections tried.
    pub attempts: u32,
}

impl Flight {
    /// The instance that is being asked, or was asked last.
    pub fn instance(&self) -> Option<&InstanceId> {
        self.attempt.as_ref().map(|attempt| &attempt.member().endpoint.id)
    }
}

impl Cluster {
    /// Sends `request` and waits up to `within` for the response's head; the body follows in its own time. See
    /// [`send`](Self::send).
    pub async fn call(&self, request: Request<Body>, within: Duration) -> Result<Answer> {
        let deadline = Instant::now() + within;
        let mut flight = Flight::default();
        let mut request = request.map(Outgoing::from);
        let sent = timeout_at(deadline, self.send(0, &mut request, deadline, &mut flight)).await;
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

    /// Sends `request` over the connections of `worker` and waits for the head of the response, without a limit of its
    /// own: the instance is told what is left until `deadline`, and it is the caller who waits no longer; see
    /// [`late`](Self::late).
    ///
    /// A request goes to another instance if a connection fails, and is sent again only if nothing of it can have
    /// arrived, or if it is idempotent without a body and a kept connection broke. Errors are those of the TRL1003 to
    /// TRL1008 group.
    pub async fn send(
        &self,
        worker: usize,
        request: &mut Request<Outgoing>,
        deadline: Instant,
        flight: &mut Flight,
    ) -> Result<Reply> {
        let members = self.members(worker);
        let mut tried = Tried::default();
        let mut last = None;
        loop {
            let attempt = match self.choose(&members, None, &mut tried) {
                Ok(attempt) => attempt,
                // Nobody left: the failed connection is the better explanation.
                Err(nobody) => return Err(last.unwrap_or(nobody)),
            };
            flight.attempts += 1;
            let attempt = flight.attempt.insert(attempt);
            let pool = &attempt.member().pool;
            let lease = match pool.take() {
                Some(lease) => Ok(lease),
                None => pool.connect().await,
            };
            match lease {
                Ok(lease) => return self.exchange(lease, request, deadline, attempt).await,
                Err(error) => {
                    attempt.verdict(Outcome::Failure, now());
                    last =
                        Some(self.error(codes::CONNECT_FAILED, "does not accept connections").because(error));
                }
            }
            if flight.attempts > self.options.connect_retries {
                return Err(last.unwrap_or_else(|| self.error(codes::CONNECT_FAILED, "cannot be reached")));
            }
        }
    }

    /// The caller waits no longer for the answer that `flight` was to bring. `blame` says whether the instance had time
    /// enough to answer.
    pub fn late(&self, mut flight: Flight, blame: bool) -> Error {
        if let Some(attempt) = &mut flight.attempt {
            attempt.verdict(if blame { Outcome::Failure } else { Outcome::Ignored }, now());
        }
        self.error(codes::UPSTREAM_TIMEOUT, "did not answer in time")
    }

    /// Whether an instance that had `within` to answer is to be blamed for not doing so.
    pub fn is_long(&self, within: Duration) -> bool {
        within >= self.options.blame_after
    }

    /// One request over `lease`, or over a new connection when a kept one was dead on arrival.
    async fn exchange(
        &self,
        mut lease: Lease,
        request: &mut Request<Outgoing>,
        deadline: Instant,
        attempt: &mut Attempt,
    ) -> Result<Reply> {
        let member = std::sync::Arc::clone(attempt.member());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            request::address(request, &member, left)?;
            let reused = lease.reused;
            let failed = match member.pool.send(lease, request).await {
                Ok(reply) => {
                    attempt.verdict(Outcome::Success, now());
                    return Ok(reply);
                }
                Err(failed) => failed,
            };
            // RFC 9110, section 9.2.2: idempotent methods may be repeated.
            let again = match failed {
                SendError::Unsent(_) => true,
                SendError::Reset(_) => request.method().is_idempotent() && request.body().again().is_some(),
                _ => false,
            };
            if !(reused && again) {
                return Err(self.failed(failed, attempt));
            }
            lease = match member.pool.connect().await {
                Ok(lease) => lease,
                Err(error) => return Err(self.gone(error.into(), attempt)),
            };
        }
    }

    fn failed(&self, failed: SendError, attempt: &mut Attempt) -> Error {
        match failed {
            SendError::Unsent(source) => return self.gone(source, attempt),
            SendError::Body(source) => {
                // The request's own body failed: the client went away or sent too much.
                attempt.verdict(Outcome::Ignored, now());
                let (code, what) = if crate::body::is_over_limit(&*source) {
                    (codes::BODY_TOO_LARGE, "the request body is over the limit")
                } else {
                    (codes::BAD_REQUEST, "the request body broke off")
                };
                return Error::new(code, what).because(source);
            }
            _ => {}
        }
        attempt.verdict(Outcome::Failure, now());
        match failed {
            SendError::Invalid(source) => {
                self.error(codes::UPSTREAM_INVALID, "sent an answer that is not valid HTTP").because(source)
            }
            other => {
                self.error(codes::UPSTREAM_RESET, "broke the connection before it answered").because(other)
            }
        }
    }

    /// Nothing was sent, and the instance does not take a new connection either.
    fn gone(&self, source: BoxError, attempt: &mut Attempt) -> Error {
        attempt.verdict(Outcome::Failure, now());
        self.error(codes::CONNECT_FAILED, "closed the connection before the request was sent").because(source)
    }

    fn error(&self, code: Code, what: &str) -> Error {
        Error::new(code, format!("{} {what}", self.name)).with("service", self.name.as_str())
    }
}

impl Flight {
    /// Counts the request as load until its answer has been read, or given up.
    pub fn until_read(self, body: crate::Received) -> crate::Received {
        match self.attempt {
            Some(attempt) => body.counted(attempt),
            None => body,
        }
    }

    /// What counts the request as load until it is dropped: for a tunnel, say.
    pub fn until_dropped(self) -> Option<Attempt> {
        self.attempt
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
