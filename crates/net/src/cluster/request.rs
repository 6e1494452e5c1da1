//! A request as the instance that it goes to wants it.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HOST, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, Version};
use trellis_core::error::Result;
use trellis_core::{Error, codes, headers};

use super::members::Member;
use crate::Outgoing;
use crate::client::Protocol;

/// Addresses `request` to `member`, under the name `host` if there is one, and says how much time is left for it.
pub(super) fn address(
    request: &mut Request<Outgoing>,
    member: &Member,
    host: Option<&HeaderValue>,
    left: Duration,
) -> Result<()> {
    let options = member.pool.options();
    match options.protocol {
        Protocol::Http1 => {
            let host = host.or(member.host.as_ref()).cloned().ok_or_else(no_host)?;
            request.headers_mut().insert(HOST, host);
            *request.version_mut() = Version::HTTP_11;
            if request.uri().authority().is_some() || request.uri().path_and_query().is_none() {
                *request.uri_mut() = Uri::from(path(request.uri()));
            }
        }
        Protocol::Http2 => {
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(if options.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
            let given = host.map(|host| Authority::try_from(host.as_bytes()));
            let given = given.transpose().map_err(|error| no_host().because(error))?;
            parts.authority = Some(given.or_else(|| member.authority.clone()).ok_or_else(no_host)?);
            parts.path_and_query = Some(path(request.uri()));
            *request.uri_mut() = Uri::from_parts(parts).map_err(|error| no_host().because(error))?;
            *request.version_mut() = Version::HTTP_2;
            // It is in the URI now.
            request.headers_mut().remove(HOST);
            if is_grpc(request) {
                // It ended at this hop as all that concerns one connection. Servers of gRPC take no call without it.
                request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
            }
        }
    }
    // `grpc-timeout` stays what the caller says: it bounds the whole call, `left` the wait for its answer to begin.
    // What is left of the last millisecond is not nothing: 0 would say that the time is over.
    let millis = (left.as_millis() as u64).max(u64::from(!left.is_zero()));
    request.headers_mut().insert(headers::TIMEOUT_MS, HeaderValue::from(millis));
    Ok(())
}

fn is_grpc(request: &Request<Outgoing>) -> bool {
    let media_type = request.headers().get(CONTENT_TYPE);
    media_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn path(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"))
}

fn no_host() -> Error {
    Error::new(codes::INTERNAL, "an instance has an address that is no host")
}
