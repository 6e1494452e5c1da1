//! What a request says about itself, and what is sent on about it.

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

use super::upgrade::{is_h2c, is_websocket};
use crate::edge::forwarded::{self, ForwardedOptions, Seen};
use crate::path;
use crate::table::View;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Who asks, and as part of what.
#[derive(Debug, Clone)]
pub(super) struct Incoming {
    pub(super) request_id: HeaderValue,
    /// The trace, with the span that is our part of it.
    pub(super) trace: TraceContext,
    /// `tracestate` is somebody else's if there is no valid `traceparent` beside it.
    continues: bool,
    forwarded: ForwardedOptions,
    seen: Seen,
    /// Who the client is, as far as the proxies in front of us are believed.
    pub(super) client: forwarded::Client,
    /// How long the client will wait, if it says so.
    pub(super) patience: Option<Duration>,
}

impl Incoming {
    pub(super) fn read(
        head: &Parts,
        client: &Client,
        forwarded: ForwardedOptions,
        clock: &WallClock,
    ) -> Self {
        let headers = &head.headers;
        let parent: Option<TraceContext> = only(headers, &TRACEPARENT).and_then(|text| text.parse().ok());
        let span = fastrand::u64(..);
        let authority = head.uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok());
        let host = authority.or_else(|| headers.get(HOST).cloned());
        let seen = Seen { peer: Some(client.peer.ip()), tls: client.secure, host };
        Self {
            request_id: request_id(headers).unwrap_or_else(|| new_request_id(clock)),
            trace: parent
                .map_or_else(|| TraceContext::root(fastrand::u128(..), span, true), |p| p.child(span)),
            continues: parent.is_some(),
            forwarded,
            client: forwarded.client(&seen, headers),
            seen,
            patience: patience(headers),
        }
    }

    /// The request as routes see it. `head` is its own.
    pub(super) fn view<'h>(&self, head: &'h Parts) -> View<'h> {
        View::new(head, self.client.address, self.client.tls)
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
        self.forwarded.send_on(&self.seen, &self.client, headers);
    }

    /// The headers of a request that is made here on the client's behalf.
    pub(super) fn part(&self, client: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in [http::header::AUTHORIZATION, TRACESTATE, FORWARDED_FOR] {
            headers.extend(client.get_all(&name).iter().map(|value| (name.clone(), value.clone())));
        }
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
        self.mark(&mut headers);
        self.forwarded.send_on(&self.seen, &self.client, &mut headers);
        headers
    }

    fn mark(&self, headers: &mut HeaderMap) {
        headers.insert(REQUEST_ID, self.request_id.clone());
        if !self.continues {
            headers.remove(TRACESTATE);
        }
        if let Some(value) = traceparent(&self.trace) {
            headers.insert(TRACEPARENT, value);
        }
    }
}

/// Refuses what is not carried, or could be understood in two ways.
pub(super) fn check(head: &Parts) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::new(codes::BAD_REQUEST, why));
    let headers = &head.headers;
    // Over HTTP/2 a WebSocket is asked for with CONNECT (RFC 8441), and is a GET by now.
    if head.method == Method::CONNECT {
        return refuse("CONNECT is not carried here".into());
    }
    // curl offers h2c with every request that it would like to send over HTTP/2; it may be passed over.
    let carried = |protocol: &HeaderValue| is_h2c(protocol) || is_websocket(protocol);
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
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text = id.as_hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// The shorter of what the client says it will wait, in our own words or those of gRPC.
fn patience(headers: &HeaderMap) -> Option<Duration> {
    let own = only(headers, &TIMEOUT_MS).and_then(Deadline::parse_header);
    let grpc = only(headers, &GRPC_TIMEOUT).and_then(Deadline::parse_grpc);
    own.into_iter().chain(grpc).min()
}

/// The text of a trace context, without the formatting machinery: every request has one.
fn traceparent(trace: &TraceContext) -> Option<HeaderValue> {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    hex(trace.trace_id, &mut text[3..35]);
    hex(u128::from(trace.span_id), &mut text[36..52]);
    text[54] += u8::from(trace.sampled);
    HeaderValue::from_bytes(&text).ok()
}

fn hex(mut number: u128, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_written_as_the_standard_says() {
        for (trace_id, span, sampled) in [(1, u64::MAX, true), (u128::MAX - 9, 0xab, false)] {
            let trace = TraceContext::root(trace_id, span, sampled);
            assert_eq!(traceparent(&trace).unwrap(), trace.to_string());
        }
    }

    #[test]
    fn the_shorter_patience_counts() {
        let wait = |own: &'static str, grpc: &'static str| {
            let values = [(TIMEOUT_MS, own), (GRPC_TIMEOUT, grpc)];
            let values = values.into_iter().filter(|(_, text)| !text.is_empty());
            patience(&values.map(|(name, text)| (name, HeaderValue::from_static(text))).collect())
        };
        assert_eq!(wait("200", "1S"), Some(Duration::from_millis(200)));
        assert_eq!(wait("2000", "1S"), Some(Duration::from_secs(1)));
        assert_eq!((wait("", "soon"), wait("", "5m")), (None, Some(Duration::from_millis(5))));
    }
}
