//! What changed, told in one order to everyone who shares the store.
//!
//! **Writing.** Within a [`Store::write_ordered`](crate::Store::write_ordered) the closure says what it changes:
//! [`Tx::announce`](crate::Tx::announce) takes a topic and a key and returns a *revision*. The announcement is a part
//! of the transaction: it is there if, and only if, the change is.
//!
//! **Revisions** are whole numbers from 1. Each announcement has one of its own, one more than the one before, over
//! all topics and all processes that share the store; several of one transaction follow each other. They survive
//! restarts, never go back and stay below 2^53, so that a number of JavaScript can hold them.
//!
//! **Order.** Transactions become visible in the order of their revisions. Who has read up to revision N never sees a
//! change with a revision of N or less afterwards, and has missed none.
//!
//! **Reading.** To follow a table: take [`Store::head`](crate::Store::head), then read the table, then follow
//! [`Store::feed`](crate::Store::feed) from that head and read again what each batch names. A change that came between
//! head and table is seen twice, never missed.
//!
//! **Bounds.** The last changes are kept in memory once for all feeds, not once for each ([`FeedOptions::recent`]). A
//! feed that falls behind them reads from the table; one that falls behind the table, too
//! ([`FeedOptions::kept_rows`], [`FeedOptions::kept_for`]), is told to begin anew: [`FeedBatch::Resync`]. A feed that
//! nobody reads costs nothing but its place in the order.

mod hub;
mod ledger;
mod options;
mod reader;
pub(crate) mod schema;

use std::sync::Arc;

use tokio::time::Instant;

pub(crate) use hub::{Gap, Hub};
pub(crate) use ledger::Ledger;
pub use options::FeedOptions;
pub use reader::Feed;
pub(crate) use schema::Page;

/// Something changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What kind of thing.
    pub topic: Arc<str>,
    /// Which one.
    pub key: Arc<str>,
    /// Its place in the order.
    pub revision: u64,
}

/// What a feed gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedBatch {
    /// The next changes, each one revision after the other. The changes of one transaction may come in two batches.
    Changes {
        /// The revision of the last of them.
        revision: u64,
        /// At least one, at most [`FeedOptions::max_batch`].
        changes: Vec<Change>,
    },
    /// What came after the feed's place is not kept any more (or the database was set back to an earlier state): read
    /// everything anew. The feed goes on after this revision.
    Resync {
        /// The newest revision when this was found out. What is read from now on has at least all up to here.
        revision: u64,
    },
}

impl FeedBatch {
    /// Up to where a reader is who has taken this in.
    pub fn revision(&self) -> u64 {
        match self {
            Self::Changes { revision, .. } | Self::Resync { revision } => *revision,
        }
    }
}

/// How the feed of a store is, for health checks and metrics.
#[derive(Debug, Clone, Copy)]
pub struct FeedState {
    /// Whether news arrive. Always on SQLite. On PostgreSQL false until the first [`Store::feed`](crate::Store::feed),
    /// and while the server is away: then feeds wait, and go on from their place when it is back.
    pub connected: bool,
    /// Since when this is so.
    pub since: Instant,
    /// How often the connection was lost.
    pub losses: u64,
    /// How often a feed fell behind what is kept in memory, and read from the table.
    pub lagged: u64,
    /// How often a feed was told to begin anew.
    pub resyncs: u64,
}

impl FeedState {
    pub(crate) fn new() -> Self {
        Self { connected: false, since: Instant::now(), losses: 0, lagged: 0, resyncs: 0 }
    }
}
