//! One question.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Limited};
use tokio::net::TcpStream;
use trellis_core::Endpoint;

use super::Question;
use crate::client::{Protocol, Reply};
use crate::{BoxError, Outgoing, Pool, PoolOptions, Received};

const AGENT: HeaderValue = HeaderValue::from_static("trellis-health");
const CHECK: PathAndQuery = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// An answer has one short field.
const MAX_ANSWER: usize = 4 << 10;

/// Asks over a connection of its own, which a limit on connections does not count: a busy instance is not a sick one.
pub async fn ask(endpoint: &Endpoint, question: &Question, pool: &PoolOptions) -> Result<(), BoxError> {
    match question {
        Question::Tcp => Ok(TcpStream::connect(&*endpoint.authority).await.map(drop)?),
        Question::Http(path) => {
            let request = request(endpoint, pool, Method::GET, path.clone(), Outgoing::empty())?;
            let response = send(endpoint, pool, request).await?;
            let status = response.status();
            if status.is_success() { Ok(()) } else { Err(format!("answered with {status}").into()) }
        }
        Question::Grpc(service) => {
            let body = Outgoing::full(check(service));
            let mut request = request(endpoint, pool, Method::POST, CHECK, body)?;
            request.headers_mut().insert(CONTENT_TYPE, GRPC);
            request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
            let (head, body) = send(endpoint, pool, request).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await?;
            let trailers = body.trailers().cloned().unwrap_or_default();
            if !head.status.is_success() || !(is_ok(&head.headers) || is_ok(&trailers)) {
                return Err(format!("answered with {} and no grpc-status of 0", head.status).into());
            }
            if is_serving(&body.to_bytes()) { Ok(()) } else { Err("says that it is not serving".into()) }
        }
    }
}

async fn send(
    endpoint: &Endpoint,
    pool: &PoolOptions,
    mut request: Request<Outgoing>,
) -> Result<http::Response<Received>, BoxError> {
    let options = PoolOptions { max_idle: 0, ..pool.clone() };
    let pool = Pool::new(Arc::clone(&endpoint.authority), Arc::new(options));
    let lease = pool.connect().await?;
    match pool.send(lease, &mut request).await? {
        Reply::Answer(response) => Ok(response),
        Reply::Switched(..) => Err("changed the protocol without being asked".into()),
    }
}

fn request(
    endpoint: &Endpoint,
    pool: &PoolOptions,
    method: Method,
    path: PathAndQuery,
    body: Outgoing,
) -> Result<Request<Outgoing>, http::Error> {
    let mut request = Request::builder().method(method).header(USER_AGENT, AGENT);
    request = match pool.protocol {
        Protocol::Http1 => request.header(HOST, &*endpoint.authority).uri(path),
        Protocol::Http2 => {
            let scheme = if pool.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
            let uri = Uri::builder().scheme(scheme).authority(&*endpoint.authority).path_and_query(path);
            request.version(http::Version::HTTP_2).uri(uri.build()?)
        }
    };
    request.body(body)
}

/// `HealthCheckRequest { service = 1 }`, as gRPC frames it: no compression, the length, the message.
fn check(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(1 << 3 | 2);
        let mut length = service.len();
        while length >= 0x80 {
            message.put_u8(length as u8 | 0x80);
            length >>= 7;
        }
        message.put_u8(length as u8);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.extend_from_slice(&message);
    framed.freeze()
}

/// Whether a framed `HealthCheckResponse { status = 1 }` says SERVING, which is 1. The message has no other field, and
/// one with a field that is not known here is not trusted.
fn is_serving(framed: &[u8]) -> bool {
    framed == [0, 0, 0, 0, 2, 1 << 3, 1]
}

fn is_ok(headers: &HeaderMap) -> bool {
    headers.get(GRPC_STATUS).is_some_and(|status| status == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_framed() {
        assert_eq!(&check("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&check("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = check(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 2]);
        assert_eq!(long.len(), 5 + 3 + 300);
    }
}
