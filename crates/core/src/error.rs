//! The error every layer speaks: who failed, what it is called, whether to try again.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Code;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The request is at fault; sending it again unchanged will fail again.
    Client,
    /// A service behind us is at fault.
    Upstream,
    /// We are at fault.
    Us,
}

/// Whether the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// No: it would fail again, or it may have taken effect.
    No,
    /// Yes, after this long; it has taken no effect, or is safe to repeat.
    After(Duration),
}

/// A failure with a public face (code, title, detail) and a private cause. What the client sees is [`crate::Problem`];
/// the cause goes to the log only, once, where the failure is handled.
pub struct Error(Box<Inner>);

struct Inner {
    code: Code,
    detail: Cow<'static, str>,
    retry: Retry,
    extensions: Map<String, Value>,
    source: Option<Source>,
}

/// The result of most things that can fail across a crate seam.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure with public text. `detail` is shown to clients: no addresses, paths, queries or secrets.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            detail: detail.into(),
            retry: code.retry,
            extensions: Map::new(),
            source: None,
        }))
    }

    /// Attaches the private cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Overrides what the code says about trying again.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Adds a public member to the problem document (RFC 9457, section 3.2).
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.0.extensions.insert(member.to_owned(), value.into());
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Public text about this occurrence.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Whether to try again.
    pub fn retry_advice(&self) -> Retry {
        self.0.retry
    }

    /// Public extra members.
    pub fn extensions(&self) -> &Map<String, Value> {
        &self.0.extensions
    }

    /// Shorthand for the code's HTTP status.
    pub fn status(&self) -> u16 {
        self.0.code.status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.0.detail, self.0.code.id)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.0.code.id)
            .field("detail", &self.0.detail)
            .field("retry", &self.0.retry)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|s| s as _)
    }
}

/// An error and its causes on one line, for the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Libraries often repeat their cause in their own text.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
