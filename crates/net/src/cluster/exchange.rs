//! One attempt: a connection, the request, the head of the answer.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{HeaderMap, Request};
use tokio::time::{Instant, timeout_at};
use trellis_core::{Error, codes};
use trellis_resilience::retry::Failure;

use super::attempt::Attempt;
use super::call::Call;
use super::learn::{Ending, retry_after};
use super::retry::Failed;
use super::{Cluster, request};
use crate::Outgoing;
use crate::client::{ConnectError, Reply, SendError};

impl Cluster {
    /// Asks the member of `attempt`, for as long as one attempt may take.
    pub(super) async fn attempt(
        &self,
        call: &Call<'_>,
        request: &mut Request<Outgoing>,
        attempt: &mut Attempt,
    ) -> Result<Reply, Box<Failed>> {
        let before = call.retry.and_then(|_| request.body().again());
        let limit = call.retry.and_then(|policy| policy.per_try_timeout).map(|limit| Instant::now() + limit);
        let limit = limit.filter(|limit| *limit < call.deadline);
        let ended = {
            let tried = Call { deadline: limit.unwrap_or(call.deadline), ..*call };
            let work = pin!(self.exchange(&tried, request, attempt));
            match limit {
                None => Ok(work.await),
                Some(limit) => Box::pin(timeout_at(limit, work)).await,
            }
        };
        match ended {
            Ok(Ok(reply)) => {
                // A body that is still being sent is not there any more; a whole one may be needed again.
                if before.is_some() {
                    request.body_mut().restore(before);
                }
                Ok(reply)
            }
            Ok(Err(failed)) => Err(failed),
            Err(_) => {
                self.learn(attempt, Ending::Failure);
                Err(Box::new(Failed {
                    failure: Some(Failure::Timeout),
                    may_have_arrived: attempt.has_begun,
                    is_whole: request.body_mut().restore(before),
                    retry_after: None,
                    outcome: Err(self.error(codes::UPSTREAM_TIMEOUT, "did not answer in time")),
                }))
            }
        }
    }

    /// One request, over a new connection once more when a kept one was dead on arrival.
    async fn exchange(
        &self,
        call: &Call<'_>,
        request: &mut Request<Outgoing>,
        attempt: &mut Attempt,
    ) -> Result<Reply, Box<Failed>> {
        let member = Arc::clone(attempt.member());
        let mut lease = match member.pool.take() {
            Some(lease) => lease,
            // What happens rarely is kept out of the future, which is moved with every request.
            None => Box::pin(member.pool.connect()).await.map_err(|e| self.unconnected(e, true, attempt))?,
        };
        loop {
            let left = call.deadline.saturating_duration_since(Instant::now());
            request::address(request, &member, call.host, left).map_err(ours)?;
            let before = request.body().again();
            let reused = lease.reused;
            attempt.has_begun = true;
            let failed = match member.pool.send(lease, request).await {
                Ok(reply) => {
                    self.learn(attempt, self.ending(&reply));
                    return Ok(reply);
                }
                Err(failed) => failed,
            };
            let is_whole = request.body_mut().restore(before);
            let again = match failed {
                SendError::Unsent(_) => is_whole,
                // RFC 9110, section 9.2.2: idempotent methods may be repeated.
                SendError::Reset(_) => is_whole && request.method().is_idempotent(),
                _ => false,
            };
            if !(reused && again) {
                return Err(self.failed(failed, is_whole, attempt));
            }
            attempt.has_begun = false;
            // What may be sent again at all may be sent to somebody else.
            let connected = Box::pin(member.pool.connect()).await;
            lease = connected.map_err(|error| self.unconnected(error, is_whole, attempt))?;
        }
    }

    fn failed(&self, failed: SendError, is_whole: bool, attempt: &mut Attempt) -> Box<Failed> {
        let (failure, ending) = match &failed {
            SendError::Unsent(_) => (Some(Failure::Connect), Ending::Failure),
            SendError::Refused(_) => (Some(Failure::Refused), Ending::Failure),
            SendError::Reset(_) => (Some(Failure::Reset), Ending::Failure),
            SendError::Invalid(_) => (None, Ending::Failure),
            // The request's own body failed: the client went away or sent too much.
            SendError::Body(_) => (None, Ending::Nothing),
        };
        self.learn(attempt, ending);
        let may_have_arrived = matches!(failed, SendError::Reset(_) | SendError::Invalid(_));
        let error = match failed {
            SendError::Unsent(source) => self
                .error(codes::CONNECT_FAILED, "closed the connection before the request was sent")
                .because(source),
            SendError::Body(source) => {
                let (code, what) = if crate::body::is_over_limit(&*source) {
                    (codes::BODY_TOO_LARGE, "the request body is over the limit")
                } else {
                    (codes::BAD_REQUEST, "the request body broke off")
                };
                Error::new(code, what).because(source)
            }
            SendError::Invalid(source) => {
                self.error(codes::UPSTREAM_INVALID, "sent an answer that is not valid HTTP").because(source)
            }
            other => {
                self.error(codes::UPSTREAM_RESET, "broke the connection before it answered").because(other)
            }
        };
        Box::new(Failed { failure, may_have_arrived, is_whole, retry_after: None, outcome: Err(error) })
    }

    /// There is no connection that the request could be sent over.
    fn unconnected(&self, error: ConnectError, is_whole: bool, attempt: &mut Attempt) -> Box<Failed> {
        let is_full = matches!(error, ConnectError::Full(_));
        self.learn(attempt, if is_full { Ending::Nothing } else { Ending::Failure });
        let error = if is_full {
            self.counters.over_limit.fetch_add(1, Ordering::Relaxed);
            self.error(codes::OVERLOADED, "has as many connections as it may").because(error)
        } else {
            self.error(codes::CONNECT_FAILED, "does not accept connections").because(error)
        };
        Box::new(Failed {
            failure: Some(Failure::Connect),
            may_have_arrived: false,
            is_whole,
            retry_after: None,
            outcome: Err(error),
        })
    }

    fn ending(&self, reply: &Reply) -> Ending {
        match reply {
            Reply::Answer(response) => {
                let status = response.status().as_u16();
                Ending::Answer { status, retry_after: self.asks_for(status, response.headers()) }
            }
            Reply::Switched(head, _) => Ending::Answer { status: head.status().as_u16(), retry_after: None },
        }
    }

    /// The wait that an answer asks for.
    pub(super) fn asks_for(&self, status: u16, headers: &HeaderMap) -> Option<Duration> {
        retry_after(status, headers, || self.options.clock.now())
    }
}

/// The request cannot be addressed, whoever is asked.
fn ours(error: Error) -> Box<Failed> {
    let (failure, retry_after) = (None, None);
    Box::new(Failed { failure, may_have_arrived: false, is_whole: false, retry_after, outcome: Err(error) })
}
