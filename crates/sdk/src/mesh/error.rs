//! How a call fails.

use std::time::Duration;

use trellis_core::error::Retry;
use trellis_core::{Code, Error, Problem, codes};

/// A call without a usable answer. The variants differ in what the caller may assume.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The request did not reach the service: nothing was done. Trying again later is safe.
    #[error("not sent: {0}")]
    Unavailable(#[source] Error),
    /// The answer is missing: it may have been done or not. Try again only what is idempotent.
    #[error("no answer: {0}")]
    Unknown(#[source] Error),
    /// The service answered, with a status that is not 2xx.
    #[error("refused with status {status}: {}", .problem.detail)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the service said; blank but for the status if it did not send a problem document.
        problem: Box<Problem>,
    },
    /// The service answered 2xx, with a body that is not what was asked for.
    #[error("not understood: {0}")]
    Invalid(#[source] Error),
}

impl CallError {
    /// The status of an answer that was not 2xx.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the request may have taken effect although no success came back: a missing or unreadable answer, or a
    /// 5xx other than one that says it is safe to repeat.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Unavailable(_) => false,
            Self::Unknown(_) | Self::Invalid(_) => true,
            Self::Refused { status, problem } => *status >= 500 && problem.retry_after_ms.is_none(),
        }
    }

    /// How long to wait before trying again, when that makes sense for a request that may be repeated.
    pub fn retry_after(&self) -> Option<Duration> {
        let advice = match self {
            Self::Unavailable(error) | Self::Unknown(error) | Self::Invalid(error) => error.retry_advice(),
            Self::Refused { problem, .. } => return problem.retry_after(),
        };
        match advice {
            Retry::No => None,
            Retry::After(wait) => Some(wait),
        }
    }

    pub(super) fn from_cluster(error: Error) -> Self {
        const NOTHING_DONE: [Code; 5] = [
            codes::NO_ENDPOINT,
            codes::BREAKER_OPEN,
            codes::CONNECT_FAILED,
            codes::BODY_TOO_LARGE,
            codes::DEADLINE_EXCEEDED,
        ];
        if NOTHING_DONE.contains(&error.code()) { Self::Unavailable(error) } else { Self::Unknown(error) }
    }
}

/// For a handler that has no better idea than to pass the failure on. An answer the service gave to us is not our
/// client's business, so its detail stays in the log.
impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unavailable(error) | CallError::Unknown(error) | CallError::Invalid(error) => error,
            CallError::Refused { status: 503, problem } => {
                let wait = problem.retry_after().unwrap_or(Duration::from_secs(1));
                Error::new(codes::DEPENDENCY_UNAVAILABLE, "a service this one needs is not available")
                    .retry(Retry::After(wait))
                    .because(problem.detail)
            }
            refused @ CallError::Refused { .. } => {
                Error::new(codes::UPSTREAM_INVALID, "a service this one needs gave an unexpected answer")
                    .because(refused.to_string())
            }
        }
    }
}
