//! WebSocket handshakes, between HTTP/1.1 (RFC 6455, section 4) and HTTP/2 (extended CONNECT, RFC 8441), in all four
//! combinations of client and service.
//!
//! Only heads are translated here. After the handshake both sides speak the same bytes, so the engine copies them.

mod key;
#[cfg(test)]
mod tests;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, request, response};
use hyper::ext::Protocol;
use trellis_net::headers::strip_hop_by_hop;

use super::headers::{has_item, only};

pub use key::{accept, new_key};

/// A client's wish for a WebSocket, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// What the client wants to see the hash of; HTTP/2 has none.
    key: Option<HeaderValue>,
}

/// A [`Handshake`] that was sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The client's, if it speaks HTTP/1.1.
    client: Option<HeaderValue>,
    /// The service's, if it speaks HTTP/1.1.
    service: Option<HeaderValue>,
}

/// What the service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// HTTP/1.1: GET with `Upgrade`. The bytes are random, the key of this handshake.
    Http1([u8; 16]),
    /// HTTP/2: CONNECT with `:protocol`. The service must have allowed it (`SETTINGS_ENABLE_CONNECT_PROTOCOL`).
    Http2,
}

/// Why a client's handshake is not carried: 400, or 426 with [`Refusal::decorate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not `GET`.
    #[error("a WebSocket handshake is a GET request of HTTP/1.1")]
    Method,
    /// The request has a body, which would be read as WebSocket frames by some.
    #[error("a WebSocket handshake has no body")]
    Body,
    /// The key is no key.
    #[error("a WebSocket handshake has one Sec-WebSocket-Key of 16 bytes in base64")]
    Key,
    /// Another version of the protocol.
    #[error("the WebSocket version that is carried is 13")]
    Version,
}

/// Why a service's answer to a handshake is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// 101 without the headers that belong to it.
    #[error("changed the protocol, but not to WebSocket")]
    Protocol,
    /// 101 with a hash that is not that of the key: something on the way does not know what it does.
    #[error("answered another WebSocket handshake than this one")]
    Accept,
    /// A status that says the opposite in the client's version of HTTP.
    #[error("gave an answer that means something else in HTTP/2")]
    Status,
}

/// The version of the protocol, the only one there is.
const VERSION: HeaderValue = HeaderValue::from_static("13");
const WEBSOCKET: &str = "websocket";

impl Handshake {
    /// Reads a request: `None` if it does not ask for a WebSocket.
    pub fn read(head: &request::Parts) -> Result<Option<Self>, Refusal> {
        let headers = &head.headers;
        let over_http2 = head.extensions.get::<Protocol>();
        if let Some(protocol) = over_http2 {
            if head.method != Method::CONNECT || !protocol.as_str().eq_ignore_ascii_case(WEBSOCKET) {
                return Ok(None);
            }
        } else if !has_item(headers, &UPGRADE, WEBSOCKET) || !has_item(headers, &CONNECTION, "upgrade") {
            return Ok(None);
        } else if head.method != Method::GET || head.version != Version::HTTP_11 {
            return Err(Refusal::Method);
        }
        if only(headers, &SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
            return Err(Refusal::Version);
        }
        if over_http2.is_some() {
            return Ok(Some(Self { key: None }));
        }
        let empty = headers.get_all(CONTENT_LENGTH).iter().all(|length| length == "0");
        if headers.contains_key(TRANSFER_ENCODING) || !empty {
            return Err(Refusal::Body);
        }
        match only(headers, &SEC_WEBSOCKET_KEY) {
            Some(key) if key::is_valid(key) => Ok(Some(Self { key: Some(key.clone()) })),
            _ => Err(Refusal::Key),
        }
    }

    /// Makes a client's request one to a service. It is the last thing done to the head, because headers of this hop
    /// are set that are removed otherwise. For HTTP/2, the caller sets the authority.
    pub fn send_on(self, head: &mut request::Parts, to: Upstream) -> Sent {
        let headers = &mut head.headers;
        strip_hop_by_hop(headers);
        headers.remove(CONTENT_LENGTH);
        headers.remove(SEC_WEBSOCKET_KEY);
        headers.insert(SEC_WEBSOCKET_VERSION, VERSION);
        let service = match to {
            Upstream::Http1(random) => {
                let key = new_key(random);
                head.method = Method::GET;
                head.version = Version::HTTP_11;
                head.extensions.remove::<Protocol>();
                if let Some(authority) = head.uri.authority()
                    && !headers.contains_key(HOST)
                    && let Ok(host) = HeaderValue::from_str(authority.as_str())
                {
                    headers.insert(HOST, host);
                }
                head.uri =
                    Uri::from(head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")));
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
                headers.insert(SEC_WEBSOCKET_KEY, key.clone());
                Some(key)
            }
            Upstream::Http2 => {
                head.method = Method::CONNECT;
                head.version = Version::HTTP_2;
                head.extensions.insert(Protocol::from_static(WEBSOCKET));
                // HTTP/2 has `:authority` for it.
                headers.remove(HOST);
                None
            }
        };
        Sent { client: self.key, service }
    }
}

impl Sent {
    /// Makes a service's answer one to the client. `true`: from here on, bytes are copied. `false`: the service does
    /// not want to; its answer is an ordinary one, with a body.
    pub fn returned(&self, head: &mut response::Parts) -> Result<bool, Mistake> {
        let opened = match &self.service {
            Some(key) => opened_over_http1(key, head)?,
            None if head.status == StatusCode::SWITCHING_PROTOCOLS => return Err(Mistake::Protocol),
            None => head.status.is_success(),
        };
        if !opened && self.client.is_none() && head.status.is_success() {
            // A client on HTTP/2 would take it for a yes.
            return Err(Mistake::Status);
        }
        let headers = &mut head.headers;
        strip_hop_by_hop(headers);
        headers.remove(SEC_WEBSOCKET_ACCEPT);
        if !opened {
            return Ok(false);
        }
        headers.remove(CONTENT_LENGTH);
        if let Some(key) = &self.client {
            head.status = StatusCode::SWITCHING_PROTOCOLS;
            head.version = Version::HTTP_11;
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept(key));
        } else {
            head.status = StatusCode::OK;
            head.version = Version::HTTP_2;
        }
        Ok(true)
    }
}

impl Refusal {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        if self == Self::Version { StatusCode::UPGRADE_REQUIRED } else { StatusCode::BAD_REQUEST }
    }

    /// Says which version is carried, where that was the reason (RFC 6455, section 4.4).
    pub fn decorate(self, headers: &mut HeaderMap) {
        if self == Self::Version {
            headers.insert(SEC_WEBSOCKET_VERSION, VERSION);
        }
    }
}

/// What a client has to check (RFC 6455, section 4.1).
fn opened_over_http1(key: &HeaderValue, head: &response::Parts) -> Result<bool, Mistake> {
    if head.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(false);
    }
    let headers = &head.headers;
    if !has_item(headers, &UPGRADE, WEBSOCKET) || !has_item(headers, &CONNECTION, "upgrade") {
        return Err(Mistake::Protocol);
    }
    if only(headers, &SEC_WEBSOCKET_ACCEPT) == Some(&accept(key)) { Ok(true) } else { Err(Mistake::Accept) }
}
