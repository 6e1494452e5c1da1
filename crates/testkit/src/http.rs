//! An HTTP client for tests: answers are read whole, and no status is an error.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;

const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// A client with a pool of connections. Clones share it.
#[derive(Debug, Clone)]
pub struct Http(Client<HttpConnector, Full<Bytes>>);

/// A request that is being made up.
#[derive(Debug)]
pub struct Call {
    client: Http,
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    timeout: Duration,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Http {
    /// A client of its own.
    pub fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// A request to this URL.
    pub fn call(&self, method: Method, url: impl Into<String>) -> Call {
        Call {
            client: self.clone(),
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: TIMEOUT,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Call {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The body, as JSON.
    #[must_use]
    pub fn json(self, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default();
        self.header(CONTENT_TYPE.as_str(), "application/json").body(body)
    }

    /// The body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// How long the whole answer may take; 30 s unless said otherwise.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends it. An error means that no whole answer came.
    pub async fn send(self) -> anyhow::Result<Answer> {
        let what = format!("{} {}", self.method, self.url);
        let limit = self.timeout;
        match tokio::time::timeout(limit, self.answer()).await {
            Ok(answer) => answer.context(what),
            Err(_) => anyhow::bail!("{what}: no answer within {limit:?}"),
        }
    }

    async fn answer(self) -> anyhow::Result<Answer> {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.url.parse::<Uri>()?;
        for (name, value) in self.headers {
            request.headers_mut().append(name.parse::<HeaderName>()?, HeaderValue::from_str(&value)?);
        }
        let (head, body) = self.client.0.request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| anyhow::anyhow!(error))?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
    }
}

impl Answer {
    /// The body as JSON; the error shows what came instead.
    pub fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {}, body: {}", self.status, self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer itself, unless it has another status; then the error shows it.
    pub fn expect(self, status: u16) -> anyhow::Result<Self> {
        anyhow::ensure!(self.status == status, "wanted {status}, got {}: {}", self.status, self.text());
        Ok(self)
    }
}
