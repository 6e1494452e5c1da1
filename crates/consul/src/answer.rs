//! How the door says yes.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

use crate::request::Params;

const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
const CONTENT_HASH: HeaderName = HeaderName::from_static("x-consul-contenthash");
const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
const LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
const CONSISTENCY: HeaderName = HeaderName::from_static("x-consul-effective-consistency");
const ACL_POLICY: HeaderName = HeaderName::from_static("x-consul-default-acl-policy");

/// An answer on its way out.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    media: &'static str,
    headers: HeaderMap,
    body: Bytes,
}

/// JSON; what cannot be serialised does not exist among what the door sends.
pub(crate) fn bytes_of(value: &(impl Serialize + ?Sized)) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

impl Answer {
    /// Something, as JSON.
    pub(crate) fn json(params: &Params, value: &(impl Serialize + ?Sized)) -> Self {
        Self::of_json(params, bytes_of(value))
    }

    /// JSON that is made already.
    pub(crate) fn of_json(params: &Params, body: Bytes) -> Self {
        let body = if params.pretty() { indented(&body).unwrap_or(body) } else { body };
        Self { status: StatusCode::OK, media: "application/json", headers: HeaderMap::new(), body }
    }

    /// Text for people.
    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        let media = "text/plain; charset=utf-8";
        Self { status: StatusCode::OK, media, headers: HeaderMap::new(), body: text.into() }
    }

    /// The bytes of a value as they were written, which no browser may take for a page.
    pub(crate) fn raw(value: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        headers.insert("content-security-policy", HeaderValue::from_static("sandbox"));
        Self { status: StatusCode::OK, media: "application/octet-stream", headers, body: value }
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self::text(Bytes::new())
    }

    /// The same with another status.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with the hash of its content, after which a client may wait.
    pub(crate) fn with_hash(mut self, hash: &str) -> Self {
        if let Ok(hash) = HeaderValue::from_str(hash) {
            self.headers.insert(CONTENT_HASH, hash);
        }
        self
    }

    /// The same with the headers of a read that can be waited for.
    pub(crate) fn at(mut self, params: &Params, index: u64) -> Self {
        self.headers.insert(INDEX, HeaderValue::from(index.max(1)));
        self.read(params)
    }

    /// The same with the headers of a read.
    pub(crate) fn read(mut self, params: &Params) -> Self {
        self.headers.insert(KNOWN_LEADER, HeaderValue::from_static("true"));
        self.headers.insert(LAST_CONTACT, HeaderValue::from_static("0"));
        self.headers.insert(CONSISTENCY, HeaderValue::from_static(params.consistency()));
        self.headers.insert(ACL_POLICY, HeaderValue::from_static("allow"));
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(mut self) -> Response {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media));
        (self.status, self.headers, self.body).into_response()
    }
}

/// The same JSON for people, as `?pretty` asks.
fn indented(body: &Bytes) -> Option<Bytes> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let mut text = Vec::with_capacity(body.len() * 2);
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, format)).ok()?;
    text.push(b'\n');
    Some(text.into())
}
