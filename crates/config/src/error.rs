//! What is refused, and why.

use trellis_core::{Code, codes};

use crate::kv::{Refused, TxnOpError};
use crate::versioned::schema::Violation;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value, name or option is not valid: JSON pointer and what is right.
    #[error("{detail}")]
    Invalid {
        /// Where, as a JSON pointer; empty for the whole.
        pointer: String,
        /// What is wrong and what would be right.
        detail: String,
    },
    /// A value is over the limit.
    #[error("the value has {bytes} bytes, at most {limit} are kept")]
    ValueTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A transaction has too many operations.
    #[error("the transaction has {count} operations, at most {limit} are taken")]
    TooManyOps {
        /// How many it has.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The version is not the one that was named.
    #[error("{name} is at version {current}, not at {expected}: read it again, and decide again")]
    Stale {
        /// The key.
        name: String,
        /// Its version; 0: there is none.
        current: u64,
        /// The version that the change asked for.
        expected: u64,
    },
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// The value does not match its schema.
    #[error("the schema {schema} is not met: {}", .violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Schema {
        /// Where the schema is attached.
        schema: String,
        /// What does not match.
        violations: Vec<Violation>,
    },
    /// Operations of a transaction did not apply, so none did.
    #[error("the transaction was rolled back: {}", .0.iter().map(|e| format!("operation {}: {}", e.index, e.refused)).collect::<Vec<_>>().join("; "))]
    Txn(Vec<TxnOpError>),
    /// An operation on one key did not apply.
    #[error("{0}")]
    Refused(Refused),
    /// There is no key to seal or open secrets with.
    #[error("{0}")]
    Secrets(String),
    /// Secrets are not shown to who asks.
    #[error("{0}")]
    Hidden(String),
    /// There is no room for more.
    #[error("{0}")]
    Full(String),
    /// Too many requests wait for a change.
    #[error("{0} requests wait for a change and no more may; try again soon, or ask without wait")]
    TooManyWaiters(usize),
    /// The service has stopped, or is about to.
    #[error("the configuration is stopping; ask again when it is back")]
    Stopping,
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] trellis_storage::Error),
}

/// The result of what is asked of the configuration.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid { pointer: pointer.into(), detail: detail.into() }
    }

    /// The platform's code for this.
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid { .. } | Self::TooManyOps { .. } => codes::INVALID_INPUT,
            Self::ValueTooLarge { .. } => codes::BODY_TOO_LARGE,
            Self::NotFound(_) => codes::NOT_FOUND,
            Self::Stale { .. } => codes::CONFIG_STALE,
            Self::Conflict(_) | Self::Txn(_) | Self::Refused(_) => codes::CONFLICT,
            Self::Schema { .. } => codes::CONFIG_SCHEMA,
            Self::Secrets(_) => codes::CONFIG_SECRETS,
            Self::Hidden(_) => codes::CONFIG_REVEAL,
            Self::Full(_) => codes::CONFIG_FULL,
            Self::TooManyWaiters(_) => codes::OVERLOADED,
            Self::Stopping => codes::SHUTTING_DOWN,
            Self::Store(error) => trellis_core::Error::from(error.clone()).code(),
        }
    }
}

impl From<Error> for trellis_core::Error {
    fn from(error: Error) -> Self {
        let public = Self::new(error.code(), error.to_string());
        match error {
            Error::Invalid { pointer, detail } => {
                public.with("errors", vec![serde_json::json!({ "pointer": pointer, "detail": detail })])
            }
            Error::Schema { violations, .. } => {
                let list = violations
                    .into_iter()
                    .map(|v| serde_json::json!({ "key": v.key, "pointer": v.pointer, "detail": v.detail }));
                public.with("errors", list.collect::<Vec<_>>())
            }
            Error::Stale { current, .. } => public.with("version", current),
            Error::Txn(errors) => {
                let list = errors
                    .into_iter()
                    .map(|e| serde_json::json!({ "op": e.index, "detail": e.refused.to_string() }));
                public.with("errors", list.collect::<Vec<_>>())
            }
            Error::Store(source) => Self::from(source),
            _ => public,
        }
    }
}
