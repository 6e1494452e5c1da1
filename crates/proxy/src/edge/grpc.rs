//! What the gateway refuses, in the words of gRPC: a client of gRPC finds the outcome of a call in `grpc-status`, and has
//! to guess from an HTTP status.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use trellis_core::Error;

const MEDIA_TYPE: &str = "application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// `grpc-message` is printable ASCII but for `%`; all else of UTF-8 is percent-encoded.
const NOT_IN_MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// How a call ended, by its number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Status {
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// Whether a request with these headers is a call of gRPC. gRPC-Web and others whose names begin alike are not.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    match media_type.split_at_checked(MEDIA_TYPE.len()) {
        Some((before, after)) => {
            before.eq_ignore_ascii_case(MEDIA_TYPE.as_bytes())
                && matches!(after.first(), None | Some(b'+' | b';' | b' '))
        }
        None => false,
    }
}

/// The whole answer to a call that fails here: what else would be trailers is its head, and there is no body.
pub fn trailers_only(error: &Error) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(GRPC_STATUS, HeaderValue::from(status(error.status()) as u16));
    let message = error.to_string();
    let message = utf8_percent_encode(&message, NOT_IN_MESSAGE).to_string();
    // What is encoded is always a value.
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}

/// What an HTTP status of ours means to a client of gRPC. `UNAVAILABLE` invites it to try again.
fn status(http: u16) -> Status {
    match http {
        400 | 500 => Status::Internal,
        401 => Status::Unauthenticated,
        403 => Status::PermissionDenied,
        404 | 405 | 501 => Status::Unimplemented,
        408 | 504 => Status::DeadlineExceeded,
        413 | 429 | 431 => Status::ResourceExhausted,
        415 | 422 => Status::InvalidArgument,
        502 | 503 => Status::Unavailable,
        _ => Status::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use trellis_core::codes;

    use super::*;

    #[test]
    fn only_grpc_is_grpc() {
        let is = |value: &'static str| {
            is_grpc(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        for yes in
            ["application/grpc", "application/grpc+proto", "Application/GRPC; a=b", "application/grpc ;a=b"]
        {
            assert!(is(yes), "{yes}");
        }
        for no in [
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpcs",
            "application",
            "text/x",
        ] {
            assert!(!is(no), "{no}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn every_refusal_of_ours_has_a_status_of_grpc() {
        for (code, number) in [
            (codes::NO_ROUTE, "12"),
            (codes::METHOD_NOT_ALLOWED, "12"),
            (codes::NO_ENDPOINT, "14"),
            (codes::UPSTREAM_TIMEOUT, "4"),
            (codes::UPSTREAM_RESET, "14"),
            (codes::BODY_TOO_LARGE, "8"),
            (codes::BAD_REQUEST, "13"),
            (codes::DEADLINE_EXCEEDED, "4"),
            (codes::OVERLOADED, "14"),
            (codes::CLIENT_TIMEOUT, "4"),
            (codes::INTERNAL, "13"),
        ] {
            let answer = trailers_only(&Error::new(code, "why"));
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()[GRPC_STATUS], number, "{}", code.id);
            assert_eq!(answer.headers()[CONTENT_TYPE], MEDIA_TYPE);
            assert_eq!(answer.headers()[GRPC_MESSAGE], format!("why [{}]", code.id));
            assert!(answer.body().is_empty());
        }
        for code in codes::ALL.iter().filter(|code| code.id.starts_with("TRL1")) {
            assert_ne!(status(code.status), Status::Unknown, "{}", code.id);
        }
        assert_eq!(status(429), Status::ResourceExhausted);
    }

    #[test]
    fn a_message_is_encoded() {
        let answer = trailers_only(&Error::new(codes::INTERNAL, "5 %\r\n\u{e9} ~\u{7f}"));
        assert_eq!(answer.headers()[GRPC_MESSAGE], "5 %25%0D%0A%C3%A9 ~%7F [TRL2006]");
    }
}
