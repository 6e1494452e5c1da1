//! How the door says no: plain text, as Consul's clients expect, with the platform's code in a header.

use std::error::Error as _;
use std::fmt::Display;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tracing::error;
use trellis_core::error::chain;
use trellis_core::{Code, Retry, codes};

/// The platform's code of a refusal.
const CODE: HeaderName = HeaderName::from_static("trellis-code");

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    pub(crate) text: String,
}

/// What a handler answers.
pub(crate) type Reply<T> = Result<T, Refusal>;

impl Refusal {
    /// The request is at fault.
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: codes::INVALID_PARAMETER, text: text.into() }
    }

    /// There is no such thing.
    pub(crate) fn missing(text: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: codes::NOT_FOUND, text: text.into() }
    }

    /// What Consul answers with 500, although the request is at fault: its clients look for that.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: codes::INVALID_PARAMETER, text: text.into() }
    }

    /// Consul has it and Trellis does not.
    pub(crate) fn unsupported(text: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_IMPLEMENTED, code: codes::CONSUL_UNSUPPORTED, text: text.into() }
    }

    /// A body or value that is too large.
    pub(crate) fn too_large(limit: impl Display) -> Self {
        let text = format!("Request body is too large: at most {limit} bytes are taken");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, code: codes::BODY_TOO_LARGE, text }
    }

    fn of(error: &trellis_core::Error) -> Self {
        let code = error.code();
        // Consul's clients know an unreachable store as a missing leader, and come back.
        let (status, text) = match code {
            codes::STORE_UNAVAILABLE | codes::STORE_BUSY => {
                (500, format!("No cluster leader: {}", error.detail()))
            }
            codes::INVALID_INPUT => (400, error.detail().to_owned()),
            _ => (code.status, error.detail().to_owned()),
        };
        Self { status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), code, text }
    }
}

impl From<trellis_core::Error> for Refusal {
    fn from(error: trellis_core::Error) -> Self {
        if error.source().is_some() && error.status() >= 500 {
            error!(error = chain(&error), "a request of a Consul client failed");
        }
        Self::of(&error)
    }
}

impl From<trellis_registry::Error> for Refusal {
    fn from(error: trellis_registry::Error) -> Self {
        trellis_core::Error::from(error).into()
    }
}

impl From<trellis_config::Error> for Refusal {
    fn from(error: trellis_config::Error) -> Self {
        use trellis_config::Error;
        use trellis_config::kv::Refused;
        match &error {
            Error::Refused(Refused::NoSession(_)) => Self::failed(error.to_string()),
            Error::Invalid { pointer, detail } if pointer == "/TTL" => Self::failed(detail.clone()),
            Error::ValueTooLarge { limit, .. } => Self::too_large(limit),
            Error::TooManyOps { count, limit } => Self {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                code: codes::BODY_TOO_LARGE,
                text: format!("Transaction contains too many operations ({count} > {limit})"),
            },
            _ => trellis_core::Error::from(error).into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CODE, HeaderValue::from_static(self.code.id));
        if let Retry::After(wait) = self.code.retry {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        (self.status, headers, self.text).into_response()
    }
}

/// What is said of a path that is not there.
pub(crate) async fn not_found(uri: Uri) -> Refusal {
    Refusal::missing(format!(
        "Invalid URL path: {} is no path of Consul's API that is known here",
        uri.path()
    ))
}

/// What is said of a method that a path does not take; the router adds `Allow`.
pub(crate) async fn method_not_allowed(method: Method) -> Refusal {
    Refusal {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: codes::METHOD_NOT_ALLOWED,
        text: format!("method {method} not allowed"),
    }
}
