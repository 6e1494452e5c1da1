//! Sending a request to a cluster.

use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use http_body::Body as _;
use tokio::time::{Instant, timeout_at};
use trellis_core::error::Result;
use trellis_core::{Code, Error, codes, headers};
use trellis_resilience::breaker::Outcome;

use super::members::Attempt;
use super::{Answer, Cluster};
use crate::Body;
use crate::client::{Connection, SendError, on_end};

/// The parts of a request that may be sent once more when a kept connection turns out to be dead.
struct Repeatable {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

/// How long an answer is waited for, and whose fault it is when it does not come.
#[derive(Clone, Copy)]
struct Patience {
    deadline: Instant,
    was_long: bool,
}

impl Cluster {
    /// Sends `request` and waits up to `within` for the response's head; the body follows in its own time.
    ///
    /// `Host` becomes the instance's address and `trellis-timeout-ms` what is left of `within`. A request goes to
    /// another instance if a connection fails, and is sent again only if nothing of it can have arrived, or if it is
    /// idempotent without a body and a kept connection broke. Errors are those of the TRL1003 to TRL1008 group.
    pub async fn call(&self, mut request: Request<Body>, within: Duration) -> Result<Answer> {
        let patience = Patience::new(within, self.options.blame_after);
        let deadline = patience.deadline;
        *request.version_mut() = Version::HTTP_11;
        *request.uri_mut() = origin_form(request.uri());
        let members = self.members();
        let mut tried = Vec::new();
        let mut last = None;
        for attempts in 1..=self.options.connect_retries.saturating_add(1) {
            let (member, mut attempt) = match self.choose(&members, &mut tried) {
                Ok(chosen) => chosen,
                // Nobody left: the failed connection is the better explanation.
                Err(nobody) => return Err(last.unwrap_or(nobody)),
            };
            let authority = &member.endpoint.authority;
            match timeout_at(deadline, self.pool.connection(authority)).await {
                Ok(Ok(connection)) => {
                    address(&mut request, authority)?;
                    let response =
                        self.exchange(connection, request, authority, patience, &mut attempt).await?;
                    let response = response.map(|body| on_end_or_drop(body, attempt));
                    return Ok(Answer { response, instance: member.endpoint.id.clone(), attempts });
                }
                Ok(Err(error)) => {
                    attempt.verdict(Outcome::Failure, now());
                    last =
                        Some(self.error(codes::CONNECT_FAILED, "does not accept connections").because(error));
                }
                Err(_) => return Err(self.late(patience, &mut attempt)),
            }
        }
        Err(last.unwrap_or_else(|| self.error(codes::CONNECT_FAILED, "does not accept connections")))
    }

    /// One request over `connection`, or over a new one when a kept connection was dead on arrival.
    async fn exchange(
        &self,
        mut connection: Connection,
        mut request: Request<Body>,
        authority: &Arc<str>,
        patience: Patience,
        attempt: &mut Attempt,
    ) -> Result<http::Response<Body>> {
        let deadline = patience.deadline;
        let left = deadline.saturating_duration_since(Instant::now());
        request.headers_mut().insert(headers::TIMEOUT_MS, HeaderValue::from(left.as_millis() as u64));
        loop {
            let reused = connection.reused;
            let spare = if reused { Repeatable::of(&request) } else { None };
            request = match timeout_at(deadline, self.pool.send(connection, request)).await {
                Ok(Ok(response)) => {
                    attempt.verdict(Outcome::Success, now());
                    return Ok(response);
                }
                Ok(Err(SendError::Unsent(request))) if reused => *request,
                Ok(Err(SendError::Unsent(_))) => return Err(self.gone(attempt)),
                Ok(Err(SendError::Broken(error))) => match spare {
                    Some(spare) if !error.is_parse() => spare.request(),
                    _ => return Err(self.broken(error, attempt)),
                },
                Err(_) => return Err(self.late(patience, attempt)),
            };
            connection = match timeout_at(deadline, self.pool.connect(authority)).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) => return Err(self.gone(attempt).because(error)),
                Err(_) => return Err(self.late(patience, attempt)),
            };
        }
    }

    fn broken(&self, error: hyper::Error, attempt: &mut Attempt) -> Error {
        let source = std::error::Error::source(&error);
        if error.is_user() || source.is_some_and(crate::body::is_over_limit) {
            // The request's own body failed: the client went away or sent too much.
            attempt.verdict(Outcome::Ignored, now());
            let over = source.is_some_and(crate::body::is_over_limit);
            let (code, what) = if over {
                (codes::BODY_TOO_LARGE, "the request body is over the limit")
            } else {
                (codes::BAD_REQUEST, "the request body broke off")
            };
            return Error::new(code, what).because(error);
        }
        attempt.verdict(Outcome::Failure, now());
        if error.is_parse() || error.is_parse_too_large() {
            self.error(codes::UPSTREAM_INVALID, "sent an answer that is not valid HTTP").because(error)
        } else {
            self.error(codes::UPSTREAM_RESET, "broke the connection before it answered").because(error)
        }
    }

    /// Nothing was sent, and the instance does not take a new connection either.
    fn gone(&self, attempt: &mut Attempt) -> Error {
        attempt.verdict(Outcome::Failure, now());
        self.error(codes::CONNECT_FAILED, "closed the connection before the request was sent")
    }

    fn late(&self, patience: Patience, attempt: &mut Attempt) -> Error {
        attempt.verdict(patience.verdict(), now());
        self.error(codes::UPSTREAM_TIMEOUT, "did not answer in time")
    }

    fn error(&self, code: Code, what: &str) -> Error {
        Error::new(code, format!("{} {what}", self.name)).with("service", self.name.as_str())
    }
}

impl Patience {
    fn new(within: Duration, blame_after: Duration) -> Self {
        Self { deadline: Instant::now() + within, was_long: within >= blame_after }
    }

    fn verdict(self) -> Outcome {
        if self.was_long { Outcome::Failure } else { Outcome::Ignored }
    }
}

impl Repeatable {
    /// RFC 9110, section 9.2.2: idempotent methods may be repeated; a body that is a stream cannot be.
    fn of(request: &Request<Body>) -> Option<Self> {
        let repeatable = request.method().is_idempotent() && request.body().is_end_stream();
        repeatable.then(|| Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        })
    }

    fn request(self) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

fn origin_form(uri: &Uri) -> Uri {
    Uri::from(uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")))
}

fn address(request: &mut Request<Body>, authority: &str) -> Result<()> {
    let host = HeaderValue::from_str(authority)
        .map_err(|e| Error::new(codes::INTERNAL, "an instance has an address that is no host").because(e))?;
    request.headers_mut().insert(HOST, host);
    Ok(())
}

/// Counts the request as load until its response has been read, or given up.
fn on_end_or_drop(body: Body, attempt: Attempt) -> Body {
    on_end(body, move || drop(attempt))
}
