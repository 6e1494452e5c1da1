//! The answer of one part.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response};
use serde::de::IgnoredAny;
use serde_json::Value;
use trellis_core::problem::MEDIA_TYPE;
use trellis_core::{Code, Error, Problem, codes};
use trellis_net::{Body, body};

use super::Part;

/// Why a part, or what is computed from it, is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Cow<'static, str>,
    pub(crate) detail: String,
}

/// A part that came.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Checked JSON, passed on as it is: no number changes its form on the way.
    pub(crate) json: Bytes,
    /// The same, if some expression looks into it.
    pub(crate) value: Option<Value>,
}

/// A problem document is short; a longer one is not read.
const MAX_PROBLEM_BYTES: u64 = 16 << 10;

/// Reads a part's answer to its end.
pub(crate) async fn read_part(
    part: &Part,
    response: Response<Body>,
    parse: bool,
) -> Result<Fetched, Failure> {
    let (head, content) = response.into_parts();
    if !head.status.is_success() {
        return Err(refused(part, head.status.as_u16(), &head.headers, content).await);
    }
    let json = match body::collect(content, part.max_bytes).await {
        Ok(json) => json,
        Err(error) if error.code() == codes::BODY_TOO_LARGE => {
            return Err(part.failure(
                codes::UPSTREAM_INVALID,
                &format!("answered with more than {} bytes", part.max_bytes),
            ));
        }
        Err(_) => return Err(part.failure(codes::UPSTREAM_RESET, "broke off its answer")),
    };
    let value = if parse {
        serde_json::from_slice(&json).map(Some)
    } else {
        // The bytes go into a JSON document of ours, so they must be JSON to the last one, and text.
        std::str::from_utf8(&json)
            .map_err(serde::de::Error::custom)
            .and_then(serde_json::from_str::<IgnoredAny>)
            .map(|_| None)
    };
    match value {
        Ok(value) => Ok(Fetched { json, value }),
        Err(_) => Err(part.failure(codes::UPSTREAM_INVALID, "did not answer with JSON")),
    }
}

/// An answer that is no success: in the service's own words if it has some.
async fn refused(part: &Part, status: u16, headers: &HeaderMap, content: Body) -> Failure {
    let general = part.failure(codes::UPSTREAM_INVALID, &format!("answered with status {status}"));
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if media_type.split(';').next().map(str::trim) != Some(MEDIA_TYPE) {
        return general;
    }
    let Ok(content) = body::collect(content, MAX_PROBLEM_BYTES).await else { return general };
    let Ok(problem) = serde_json::from_slice::<Problem>(&content) else { return general };
    let or = |text: String, otherwise: String| if text.is_empty() { otherwise } else { text };
    Failure {
        code: or(problem.code, general.code.into_owned()).into(),
        detail: or(problem.detail, or(problem.title, general.detail)),
    }
}

impl Part {
    pub(crate) fn failure(&self, code: Code, what: &str) -> Failure {
        Failure { code: code.id.into(), detail: format!("{} {what}", self.name) }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self { code: error.code().id.into(), detail: error.detail().into() }
    }
}
