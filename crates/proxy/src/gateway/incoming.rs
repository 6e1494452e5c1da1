//! What a request says about itself, and what is sent on about it.

use std::net::SocketAddr;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use trellis_core::headers::{REQUEST_ID, TIMEOUT_MS, TRACEPARENT, TRACESTATE};
use trellis_core::{Error, TraceContext, codes};
use trellis_net::Client;
use trellis_net::headers::strip_hop_by_hop;
use trellis_resilience::Deadline;
use trellis_runtime::WallClock;

use super::upgrade::is_websocket;
use crate::path;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Who asks, and as part of what.
#[derive(Debug, Clone)]
pub(super) struct Incoming {
    pub(super) request_id: HeaderValue,
    /// The trace, with the span that is our part of it.
    pub(super) trace: TraceContext,
    /// `tracestate` is somebody else's if there is no valid `traceparent` beside it.
    continues: bool,
    peer: SocketAddr,
    secure: bool,
    host: Option<HeaderValue>,
    /// How long the client will wait, if it says so.
    pub(super) patience: Option<Duration>,
}

impl Incoming {
    pub(super) fn read(head: &Parts, client: &Client, clock: &WallClock) -> Self {
        let headers = &head.headers;
        let parent: Option<TraceContext> = only(headers, &TRACEPARENT).and_then(|text| text.parse().ok());
        let span = fastrand::u64(..);
        let authority = head.uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok());
        Self {
            request_id: request_id(headers).unwrap_or_else(|| new_request_id(clock)),
            trace: parent
                .map_or_else(|| TraceContext::root(fastrand::u128(..), span, true), |p| p.child(span)),
            continues: parent.is_some(),
            peer: client.peer,
            secure: client.secure,
            host: authority.or_else(|| headers.get(HOST).cloned()),
            patience: only(headers, &TIMEOUT_MS).and_then(Deadline::parse_header),
        }
    }

    /// Makes a client's headers those of a request to a service. What is set here comes after what the client's
    /// `Connection` header removes.
    pub(super) fn outgoing(&self, headers: &mut HeaderMap, version: Version) {
        strip_hop_by_hop(headers);
        // Answered at this hop.
        headers.remove(EXPECT);
        if version == Version::HTTP_2 {
            join_cookies(headers);
        }
        self.mark(headers);
        self.forwarded(headers);
    }

    /// The headers of a request that is made here on the client's behalf.
    pub(super) fn part(&self, client: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in [http::header::AUTHORIZATION, TRACESTATE, FORWARDED_FOR] {
            headers.extend(client.get_all(&name).iter().map(|value| (name.clone(), value.clone())));
        }
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
        self.mark(&mut headers);
        self.forwarded(&mut headers);
        headers
    }

    fn mark(&self, headers: &mut HeaderMap) {
        headers.insert(REQUEST_ID, self.request_id.clone());
        if !self.continues {
            headers.remove(TRACESTATE);
        }
        if let Ok(value) = HeaderValue::try_from(self.trace.to_string()) {
            headers.insert(TRACEPARENT, value);
        }
    }

    /// The client's address goes to the end of the list; the other two are what we saw, not what the client claims.
    fn forwarded(&self, headers: &mut HeaderMap) {
        let before = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let peer = self.peer.ip().to_canonical().to_string();
        let list = before.map(str::to_owned).chain([peer]).collect::<Vec<_>>().join(", ");
        headers.remove(FORWARDED_FOR);
        if let Some(list) = HeaderValue::try_from(list).ok().filter(|list| !list.is_empty()) {
            headers.insert(FORWARDED_FOR, list);
        }
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(if self.secure { "https" } else { "http" }));
        match &self.host {
            Some(host) => headers.insert(FORWARDED_HOST, host.clone()),
            None => headers.remove(FORWARDED_HOST),
        };
    }
}

/// Refuses what is not carried, or could be understood in two ways.
pub(super) fn check(head: &Parts) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::new(codes::BAD_REQUEST, why));
    let headers = &head.headers;
    if head.method == Method::CONNECT {
        return refuse("CONNECT is not carried here".into());
    }
    // curl offers h2c with every request that it would like to send over HTTP/2; it may be passed over.
    let carried =
        |protocol: &HeaderValue| protocol.as_bytes().eq_ignore_ascii_case(b"h2c") || is_websocket(protocol);
    if !headers.get_all(UPGRADE).iter().all(carried) {
        return refuse("of all changes of protocol (Upgrade) only that to WebSocket is carried here".into());
    }
    if headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING) {
        return refuse("Content-Length and Transfer-Encoding cannot both say where the body ends".into());
    }
    let hosts = headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && head.version == Version::HTTP_11) {
        return refuse(format!("a request has one Host header, not {hosts}"));
    }
    path::check(head.uri.path()).or_else(|error| refuse(error.to_string()))
}

/// The text of a header that is there exactly once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// 1 to 128 visible characters; anything else is not worth repeating in logs and answers.
fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let text = only(headers, &REQUEST_ID)?;
    let sane = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if sane { headers.get(REQUEST_ID).cloned() } else { None }
}

/// A UUID version 7: ids sort by time.
fn new_request_id(clock: &WallClock) -> HeaderValue {
    let millis = u64::try_from(clock.unix_millis()).unwrap_or(0);
    let mut random = [0; 10];
    fastrand::fill(&mut random);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    HeaderValue::try_from(id.to_string()).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// HTTP/2 splits cookies over several headers, HTTP/1.1 has one (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(COOKIE, whole);
    }
}
