//! Who shares the store, and who of them does what.
//!
//! Every process that shares a store is a [`Member`]: a row with a lease, renewed every third of it by the *database's*
//! clock. Work that is to be done by one of them is divided by keys: [`Handle::owner_of`] names the member for a key, by
//! rendezvous hashing, so that a change of members moves only the keys of the one that came or went.
//!
//! ```text
//! let (members, handle) = Members::join(&store, members::Options::new("node-1", "10.0.0.1:7700")).await?;
//! tokio::spawn(members.run(shutdown));
//! if let Some(epoch) = handle.claim("reap/orders") {
//!     store.write_ordered(|tx| Box::pin(async move { tx.require_live(&node, epoch).await?; ... })).await?;
//! }
//! ```
//!
//! **What is guaranteed.** These are leases, not consensus; the database is the judge.
//! - *Fenced writes:* the **epoch** is the number of the list of members. It grows whenever somebody joins, leaves or is
//!   declared dead, in the transaction that does so. [`Tx::require_live`](crate::Tx::require_live) lets a write commit
//!   only while the list is the one that its decision was made on and the node is in it. So of two members that both
//!   think that a key is theirs, only one can write. This holds whatever clocks do, and however long a process sleeps.
//! - *Unfenced work:* a member is declared dead only after its lease ended by the database's clock. It counts the lease
//!   itself from before it asked for it, by its monotonic clock, and ends a sixth earlier; from then on
//!   [`Handle::is_live`] is false and [`Handle::is_mine`] is false for every key, and [`Handle::lost`] ends. So if clocks
//!   run evenly and no process is stopped in between, a dead member's work has ended before another takes it over.
//! - *Not* guaranteed without fencing: after a **join**, the old owner of a key learns of it with the feed, or at the
//!   latest with its next renewal, and until then both think that it is theirs. Nor when a process or its whole machine
//!   sleeps in the middle of its work, nor when the database's clock jumps ahead.
//!
//! A member that was declared dead joins again by itself. One whose own lease ended before it could renew it, since the
//! database was away, declares nobody dead for as long as a lease lasts: it was away for the others as well, and they are
//! about to come back. A process that ends in order deletes its row at once.
//!
//! On SQLite there is exactly one member, the process itself: its lease does not end by itself, and who
//! joins replaces who was there.

mod handle;
mod rendezvous;
mod service;
mod table;

use std::sync::Arc;
use std::time::Duration;

pub use handle::{Handle, Term};
pub use rendezvous::owner_of;
pub use service::Members;
pub(crate) use table::require;

/// A process that shares the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// A UUID of version 7 in text, another for every start.
    pub node_id: Arc<str>,
    /// What people call it.
    pub name: Arc<str>,
    /// Where its admin API is reached; free text.
    pub address: Arc<str>,
    /// When it first joined, by the database's clock; milliseconds since 1970.
    pub started_unix_ms: i64,
    /// When its lease ended or will end, as last seen; by the database's clock, milliseconds since 1970. None on SQLite.
    pub expires_unix_ms: Option<i64>,
}

/// How a process takes part.
#[derive(Debug, Clone)]
pub struct Options {
    /// What people call it. Need not be unique.
    pub name: String,
    /// Where its admin API is reached; free text.
    pub address: String,
    /// How long after its last renewal a member is declared dead; renewed every third of it. At least 100 ms.
    pub ttl: Duration,
}

impl Options {
    /// With a lease of 6 s.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self { name: name.into(), address: address.into(), ttl: Duration::from_secs(6) }
    }

    fn lease(&self) -> Duration {
        self.ttl.max(Duration::from_millis(100))
    }
}
