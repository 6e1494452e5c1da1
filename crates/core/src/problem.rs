//! Errors on the wire: `application/problem+json` (RFC 9457).

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Blame, Error, Retry};

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

const TYPE_PREFIX: &str = "urn:trellis:error:";

/// What a client is told about a failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `urn:trellis:error:` and the code.
    #[serde(rename = "type", default = "blank")]
    pub kind: String,
    /// The same for every occurrence of the code.
    #[serde(default)]
    pub title: String,
    /// HTTP status.
    #[serde(default)]
    pub status: u16,
    /// About this occurrence.
    #[serde(default)]
    pub detail: String,
    /// The stable code, such as `TRL1003`.
    #[serde(default)]
    pub code: String,
    /// Who has to act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// Milliseconds to wait before the same request may be sent again; absent when it must not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The request this is about, to be quoted to whoever runs the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Members that only some codes have, such as `errors`.
    #[serde(flatten)]
    pub extensions: Map<String, Value>,
}

fn blank() -> String {
    "about:blank".into()
}

impl Problem {
    /// How long to wait before trying again, if trying again makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let code = error.code();
        Self {
            kind: format!("{TYPE_PREFIX}{}", code.id),
            title: code.title.into(),
            status: code.status,
            detail: error.detail().into(),
            code: code.id.into(),
            blame: Some(code.blame),
            retry_after_ms: match error.retry_advice() {
                Retry::No => None,
                Retry::After(wait) => Some(wait.as_millis() as u64),
            },
            request_id: None,
            extensions: error.extensions().clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;

    #[test]
    fn the_cause_stays_private() {
        let error =
            Error::new(codes::CONNECT_FAILED, "payments does not answer").because("10.0.0.7:9 refused");
        let text = serde_json::to_string(&Problem::from(&error)).unwrap();
        assert!(!text.contains("10.0.0.7"), "{text}");
        assert!(text.contains(r#""code":"TRL1005""#) && text.contains(r#""retry_after_ms":1000"#), "{text}");
    }

    #[test]
    fn a_foreign_problem_is_understood() {
        let problem: Problem = serde_json::from_str(r#"{"title":"Gone","status":410,"balance":30}"#).unwrap();
        assert_eq!((problem.kind.as_str(), problem.status), ("about:blank", 410));
        assert_eq!(problem.extensions["balance"], 30);
    }
}
