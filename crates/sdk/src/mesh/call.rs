//! One call, being put together.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use trellis_core::{Error, Problem, codes};
use trellis_net::{Body, body};

use super::{CallError, DEFAULT_TIMEOUT, ServiceClient};

/// Largest answer that [`Call::fetch`] reads.
const MAX_ANSWER_BYTES: u64 = 8 << 20;

/// A call that has not been sent. Mistakes made while putting it together come out when it is sent.
#[must_use = "a call does nothing until it is sent"]
#[derive(Debug)]
pub struct Call {
    client: ServiceClient,
    request: Result<Request<Body>, Error>,
    timeout: Duration,
}

impl Call {
    pub(super) fn new(client: ServiceClient, method: Method, path: &str) -> Self {
        let uri = path.parse::<Uri>().ok().filter(|u| u.path().starts_with('/') && u.authority().is_none());
        let request = uri.ok_or_else(|| mistake("a path begins with / and is percent-encoded")).map(|uri| {
            let mut request = Request::new(Body::empty());
            *request.method_mut() = method;
            *request.uri_mut() = uri;
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
            request
        });
        Self { client, request, timeout: DEFAULT_TIMEOUT }
    }

    /// Sets a header.
    pub fn header(self, name: HeaderName, value: &str) -> Self {
        self.change(|request| {
            let value = HeaderValue::from_str(value)
                .map_err(|_| mistake("a header value has visible characters only"))?;
            request.headers_mut().insert(name, value);
            Ok(())
        })
    }

    /// Sends `value` as JSON.
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        self.change(|request| {
            let bytes = serde_json::to_vec(value)
                .map_err(|e| mistake("a body cannot be written as JSON").because(e))?;
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Body::from(bytes);
            Ok(())
        })
    }

    /// Longest wait, 30 s unless set. It never goes beyond the deadline of the request being served.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends it; any status is a success, and the body is still to be read.
    pub async fn send(self) -> Result<Response<Body>, CallError> {
        let request = self.request.map_err(CallError::Unavailable)?;
        self.client.0.call(request, self.timeout).await
    }

    /// Sends it and reads a JSON answer; a status that is not 2xx is an error. The timeout covers the whole answer.
    pub async fn fetch<T: DeserializeOwned>(self) -> Result<T, CallError> {
        let name = self.client.clone();
        let bytes = self.whole().await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let what = format!("{} sent an answer of another form", name.0.name());
            CallError::Invalid(Error::new(codes::UPSTREAM_INVALID, what).because(error))
        })
    }

    /// Sends it; a status that is not 2xx is an error, what comes with a 2xx is not looked at.
    pub async fn done(self) -> Result<(), CallError> {
        self.whole().await.map(drop)
    }

    async fn whole(self) -> Result<bytes::Bytes, CallError> {
        let client = self.client.clone();
        let deadline = Instant::now() + self.timeout;
        let (head, incoming) = self.send().await?.into_parts();
        let read = match timeout_at(deadline, body::collect(incoming, MAX_ANSWER_BYTES)).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) if error.code() == codes::BODY_TOO_LARGE => {
                Err(Error::new(codes::UPSTREAM_INVALID, format!("{}'s answer is too large", client.0.name())))
            }
            Ok(Err(error)) => {
                Err(Error::new(codes::UPSTREAM_RESET, format!("{}'s answer broke off", client.0.name()))
                    .because(error))
            }
            Err(_) => Err(Error::new(
                codes::UPSTREAM_TIMEOUT,
                format!("{} did not finish its answer in time", client.0.name()),
            )),
        };
        if head.status.is_success() {
            return read.map_err(CallError::Unknown);
        }
        let status = head.status.as_u16();
        // A refusal whose explanation is lost is still a refusal.
        let problem = read.ok().and_then(|bytes| serde_json::from_slice::<Problem>(&bytes).ok());
        let problem = problem.unwrap_or_else(|| Problem {
            kind: "about:blank".into(),
            title: head.status.canonical_reason().unwrap_or_default().into(),
            status,
            detail: String::new(),
            code: String::new(),
            blame: None,
            retry_after_ms: None,
            request_id: None,
            extensions: serde_json::Map::new(),
        });
        Err(CallError::Refused { status, problem: Box::new(problem) })
    }

    fn change(mut self, edit: impl FnOnce(&mut Request<Body>) -> Result<(), Error>) -> Self {
        if let Ok(request) = &mut self.request
            && let Err(error) = edit(request)
        {
            self.request = Err(error);
        }
        self
    }
}

fn mistake(what: &'static str) -> Error {
    Error::new(codes::INTERNAL, what)
}
