//! Calls by way of the proxy beside this process, which finds, balances, breaks and tries again.

use std::sync::Arc;

use http::header::HOST;
use http::{HeaderValue, Request, Response};
use tokio::time::{Instant, timeout_at};
use trellis_core::error::{Blame, Retry};
use trellis_core::{Code, Error, Problem, ServiceName, codes, headers};
use trellis_net::client::{ConnectError, Reply, SendError};
use trellis_net::{Body, Outgoing, Pool, body};

use super::CallError;

/// Largest answer of a proxy's own that is looked at.
const MAX_PROBLEM_BYTES: u64 = 64 << 10;

/// One module, reached through the proxy.
pub(super) struct Outbound {
    name: ServiceName,
    pool: Arc<Pool>,
}

impl Outbound {
    pub(super) fn new(name: ServiceName, pool: &Arc<Pool>) -> Self {
        Self { name, pool: Arc::clone(pool) }
    }

    /// Sends `request` and waits for the response's head until `deadline`.
    pub(super) async fn call(
        &self,
        mut request: Request<Body>,
        deadline: Instant,
    ) -> Result<Response<Body>, CallError> {
        let host = HeaderValue::from_str(self.name.as_str());
        request
            .headers_mut()
            .insert(HOST, host.map_err(|_| self.unknown(codes::INTERNAL, "is no host name"))?);
        let left = deadline.saturating_duration_since(Instant::now());
        request.headers_mut().insert(headers::TIMEOUT_MS, (left.as_millis() as u64).into());
        let late = || self.unknown(codes::UPSTREAM_TIMEOUT, "did not answer in time");
        let sent = timeout_at(deadline, self.exchange(&mut request.map(Outgoing::from))).await;
        let response = sent.unwrap_or_else(|_| Err(late()))?;
        if !response.headers().contains_key(headers::PROXY) {
            return Ok(response);
        }
        // It is small, and there already.
        let read = timeout_at(deadline, body::collect(response.into_body(), MAX_PROBLEM_BYTES)).await;
        let problem = read.map_err(|_| late())?.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Err(match problem {
            Some(problem) => self.said(&problem),
            None => self.unknown(codes::UPSTREAM_INVALID, "cannot be reached; the proxy does not say why"),
        })
    }

    /// One request, once more over a new connection when a kept one was dead on arrival: as `net` does with any other.
    async fn exchange(&self, request: &mut Request<Outgoing>) -> Result<Response<Body>, CallError> {
        let mut lease = match self.pool.take() {
            Some(lease) => lease,
            None => self.pool.connect().await.map_err(|error| self.gone(error))?,
        };
        loop {
            let reused = lease.reused;
            let failed = match self.pool.send(lease, request).await {
                Ok(Reply::Answer(response)) => return Ok(response.map(Body::new)),
                Ok(Reply::Switched(..)) => {
                    let what = "changed the protocol without being asked";
                    return Err(self.unknown(codes::UPSTREAM_INVALID, what));
                }
                Err(failed) => failed,
            };
            let again = match failed {
                SendError::Unsent(_) => true,
                SendError::Reset(_) => request.method().is_idempotent() && request.body().again().is_some(),
                _ => false,
            };
            if !(reused && again) {
                return Err(self.failed(failed));
            }
            lease = self.pool.connect().await.map_err(|error| self.gone(error))?;
        }
    }

    /// What a proxy, this one or that of the other side, says in place of the service. It is the error that the same
    /// failure would be without a proxy.
    fn said(&self, problem: &Problem) -> CallError {
        let unknown =
            Code { status: problem.status, blame: problem.blame.unwrap_or(Blame::Us), ..codes::INTERNAL };
        let code = codes::ALL.iter().find(|code| code.id == problem.code).copied().unwrap_or(unknown);
        let (code, detail) = match code {
            codes::NO_ROUTE => (codes::NO_ENDPOINT, format!("{} is not known here", self.name)),
            // Said before anything is sent, but also when the time is over afterwards.
            codes::DEADLINE_EXCEEDED => {
                (codes::UPSTREAM_TIMEOUT, format!("{} did not answer in time", self.name))
            }
            code => (code, problem.detail.clone()),
        };
        let error = Error::new(code, detail).with("service", self.name.as_str());
        let error = match problem.retry_after() {
            Some(wait) => error.retry(Retry::After(wait)),
            None => error,
        };
        // A proxy that says "try again" has sent nothing on, but if it was the request that did not come to its end.
        let repeatable = matches!(error.retry_advice(), Retry::After(_)) && code != codes::CLIENT_TIMEOUT;
        if repeatable || code == codes::BODY_TOO_LARGE {
            CallError::Unavailable(error)
        } else {
            CallError::Unknown(error)
        }
    }

    fn failed(&self, failed: SendError) -> CallError {
        match failed {
            SendError::Unsent(source) | SendError::Refused(source) => {
                CallError::Unavailable(self.unreachable().because(source))
            }
            SendError::Invalid(source) => CallError::Unknown(
                self.error(codes::UPSTREAM_INVALID, "sent no valid answer").because(source),
            ),
            SendError::Body(source) => {
                let error = Error::new(codes::BAD_REQUEST, "the request body broke off").because(source);
                CallError::Unknown(error)
            }
            SendError::Reset(source) => {
                let what = "was asked, but the proxy broke the connection before it answered";
                CallError::Unknown(self.error(codes::UPSTREAM_RESET, what).because(source))
            }
        }
    }

    fn gone(&self, error: ConnectError) -> CallError {
        CallError::Unavailable(self.unreachable().because(error))
    }

    fn unreachable(&self) -> Error {
        self.error(codes::CONNECT_FAILED, "cannot be reached: the proxy does not accept connections")
    }

    fn unknown(&self, code: Code, what: &str) -> CallError {
        CallError::Unknown(self.error(code, what))
    }

    fn error(&self, code: Code, what: &str) -> Error {
        Error::new(code, format!("{} {what}", self.name)).with("service", self.name.as_str())
    }
}
