//! Keys, sessions and transactions with the semantics of Consul's: what a lock service needs.
//!
//! Everything that decides (who holds a lock, whether a compare-and-set matches) is a `Draft`: a pure
//! state machine over the part of the state that a change looks at. It runs inside the ordered write transaction, so
//! two nodes on one database decide one after the other.

pub(crate) mod deadlines;
pub(crate) mod draft;
mod facade;
mod ops;
mod session;
pub(crate) mod sessions;
#[cfg(test)]
mod tests;
pub(crate) mod tokens;
mod txn;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub(crate) use facade::random_id;
pub use ops::{Refused, TxnOp, TxnOpError};
pub use session::{Behavior, Cause, NewSession, Session, SessionId};

/// Longest key, in bytes.
pub const MAX_KEY: usize = 512;
/// Largest value, in bytes.
pub const MAX_VALUE: usize = 512 << 10;

/// One key and what is kept under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// What is kept.
    pub value: Bytes,
    /// A number that clients use as they like.
    pub flags: u64,
    /// The revision that made the key.
    pub create_index: u64,
    /// The revision that changed it last. Writing what is there already changes nothing.
    pub modify_index: u64,
    /// How often the key has been locked: grows with each new hold, and is a fencing token for its holder.
    pub lock_index: u64,
    /// Who holds the lock.
    pub session: Option<SessionId>,
}

/// What a read found, and the index from which to wait for something newer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read<T> {
    /// What is there.
    pub value: T,
    /// At least 1. Another number as soon as the answer may be another.
    pub index: u64,
}

/// How a key is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Put {
    /// What to keep, at most [`MAX_VALUE`].
    pub value: Bytes,
    /// A number for the client's own use.
    pub flags: u64,
    /// Only if the key was changed last by this revision; 0: only if there is no such key.
    pub cas: Option<u64>,
    /// Lock the key for this session, or write under the lock that it holds. Not together with `release`.
    pub acquire: Option<SessionId>,
    /// Unlock the key that this session holds.
    pub release: Option<SessionId>,
}

/// What a watch is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// One key.
    Key(Arc<str>),
    /// All keys that begin so; an empty text means all keys.
    Prefix(Arc<str>),
    /// All sessions.
    Sessions,
}

/// What a transaction gave: for each operation that answers with entries, those, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnDone {
    /// The revision, if anything was changed.
    pub index: Option<u64>,
    /// For each operation what it found or wrote; nothing for deletes and `CheckNotExists`.
    pub results: Vec<Vec<Entry>>,
}

/// Shortest time to live of a session.
pub const MIN_TTL: Duration = Duration::from_secs(10);
/// Longest time to live of a session.
pub const MAX_TTL: Duration = Duration::from_hours(24);
/// Longest lock delay.
pub const MAX_LOCK_DELAY: Duration = Duration::from_mins(1);
/// The lock delay of who does not say.
pub const DEFAULT_LOCK_DELAY: Duration = Duration::from_secs(15);
