//! The operations of a transaction, and how one of them is refused.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::session::SessionId;
use super::{MAX_KEY, MAX_VALUE};
use crate::error::{Error, Result};

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnOp {
    /// Write the key, whatever is there and whoever holds it.
    Set {
        /// The key.
        key: Arc<str>,
        /// What to keep.
        value: Bytes,
        /// A number for the client's own use.
        flags: u64,
    },
    /// Write it if it was changed last by this revision; 0: if there is no such key.
    Cas {
        /// The key.
        key: Arc<str>,
        /// What to keep.
        value: Bytes,
        /// A number for the client's own use.
        flags: u64,
        /// The revision.
        index: u64,
    },
    /// Write it and lock it for the session, or write it under the lock that the session has.
    Lock {
        /// The key.
        key: Arc<str>,
        /// What to keep.
        value: Bytes,
        /// A number for the client's own use.
        flags: u64,
        /// The session.
        session: SessionId,
    },
    /// Write it and give up the session's lock.
    Unlock {
        /// The key.
        key: Arc<str>,
        /// What to keep.
        value: Bytes,
        /// A number for the client's own use.
        flags: u64,
        /// The session.
        session: SessionId,
    },
    /// Read it; a missing key fails the transaction.
    Get {
        /// The key.
        key: Arc<str>,
    },
    /// Read it; a missing key gives an entry without value.
    GetOrEmpty {
        /// The key.
        key: Arc<str>,
    },
    /// Read all keys that begin so.
    GetTree {
        /// How they begin.
        prefix: Arc<str>,
    },
    /// Fail unless the key was changed last by this revision.
    CheckIndex {
        /// The key.
        key: Arc<str>,
        /// The revision.
        index: u64,
    },
    /// Fail unless the session holds the key.
    CheckSession {
        /// The key.
        key: Arc<str>,
        /// The session.
        session: SessionId,
    },
    /// Fail if there is such a key.
    CheckNotExists {
        /// The key.
        key: Arc<str>,
    },
    /// Remove it, if it is there.
    Delete {
        /// The key.
        key: Arc<str>,
    },
    /// Remove all keys that begin so.
    DeleteTree {
        /// How they begin.
        prefix: Arc<str>,
    },
    /// Remove it if it was changed last by this revision. A missing key is fine.
    DeleteCas {
        /// The key.
        key: Arc<str>,
        /// The revision.
        index: u64,
    },
}

/// Why an operation did not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// There is no such key.
    Missing(Arc<str>),
    /// There is such a key.
    Exists(Arc<str>),
    /// The key was changed by another revision than the one named.
    Stale {
        /// The key.
        key: Arc<str>,
        /// The revision that changed it last; 0: there is none.
        current: u64,
    },
    /// Another session holds the lock.
    Held {
        /// The key.
        key: Arc<str>,
    },
    /// A session that held it ended a short while ago.
    Delayed {
        /// The key.
        key: Arc<str>,
    },
    /// The session does not hold the lock.
    NotHeld {
        /// The key.
        key: Arc<str>,
    },
    /// There is no such session.
    NoSession(SessionId),
}

/// One operation that did not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnOpError {
    /// Its place in the transaction, from 0.
    pub index: usize,
    /// Why.
    pub refused: Refused,
}

impl TxnOp {
    /// Whether it may change anything.
    pub(crate) fn writes(&self) -> bool {
        !matches!(
            self,
            Self::Get { .. }
                | Self::GetOrEmpty { .. }
                | Self::GetTree { .. }
                | Self::CheckIndex { .. }
                | Self::CheckSession { .. }
                | Self::CheckNotExists { .. }
        )
    }

    /// The keys that it looks at: one, or all that begin so.
    pub(crate) fn scope(&self) -> (&Arc<str>, bool) {
        match self {
            Self::GetTree { prefix } | Self::DeleteTree { prefix } => (prefix, true),
            Self::Set { key, .. }
            | Self::Cas { key, .. }
            | Self::Lock { key, .. }
            | Self::Unlock { key, .. }
            | Self::Get { key }
            | Self::GetOrEmpty { key }
            | Self::CheckIndex { key, .. }
            | Self::CheckSession { key, .. }
            | Self::CheckNotExists { key }
            | Self::Delete { key }
            | Self::DeleteCas { key, .. } => (key, false),
        }
    }

    /// Refuses what is over a limit.
    pub(crate) fn check(&self, pointer: &str) -> Result<()> {
        let (key, is_prefix) = self.scope();
        if key.len() > MAX_KEY || (key.is_empty() && !is_prefix) {
            let text = format!("a key has 1 to {MAX_KEY} bytes, this one has {}", key.len());
            return Err(Error::invalid(pointer, text));
        }
        match self {
            Self::Set { value, .. }
            | Self::Cas { value, .. }
            | Self::Lock { value, .. }
            | Self::Unlock { value, .. }
                if value.len() > MAX_VALUE =>
            {
                Err(Error::ValueTooLarge { bytes: value.len(), limit: MAX_VALUE })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "there is no key {key:?}"),
            Self::Exists(key) => write!(f, "the key {key:?} exists"),
            Self::Stale { key, current } => {
                write!(f, "the index is stale: the key {key:?} was changed last at {current}")
            }
            Self::Held { key } => write!(f, "the lock of the key {key:?} is held by another session"),
            Self::Delayed { key } => {
                write!(f, "the key {key:?} cannot be locked until the lock delay of its last holder is over")
            }
            Self::NotHeld { key } => write!(f, "the session does not hold the lock of the key {key:?}"),
            Self::NoSession(id) => write!(f, "invalid session \"{id}\": there is none of this id"),
        }
    }
}
