//! Waiting for changes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::Handle;
use crate::error::Result;
use crate::model::topic::Topic;

/// An answer that all who ask the same share.
#[derive(Debug, PartialEq, Eq)]
pub struct Cached {
    /// The index of its topic, taken before it was made: what it says is at least that new.
    pub index: u64,
    /// The answer.
    pub body: Bytes,
}

impl Handle {
    /// The index of the whole state. At least 1, and higher than in any earlier run.
    pub fn index(&self) -> u64 {
        unimplemented!()
    }

    /// The index of a topic. At least 1; that of something unknown is that of the last such thing that went.
    pub fn topic_index(&self, _topic: &Topic) -> u64 {
        unimplemented!()
    }

    /// The index of a topic as soon as it is higher than `after`, or when `wait` has passed; then it may be the same. An
    /// `after` that is higher than the index (it is from another run, or another `trellis`) is answered at once with
    /// the index that is: the client starts again from there.
    ///
    /// A wait is at most [`Options::max_wait`](crate::Options::max_wait); the caller adds or takes off what its protocol
    /// asks for. Refused with [`Error::TooManyWaiters`](crate::Error::TooManyWaiters) or
    /// [`Error::TooManyWatches`](crate::Error::TooManyWatches) when too many wait, or for too many topics.
    pub async fn watch_topic(&self, _topic: &Topic, _after: u64, _wait: Duration) -> Result<u64> {
        unimplemented!()
    }

    /// A live index of a topic: `borrow()` is the current one, `changed()` wakes on the next. For pushing doors; the
    /// last value is never missed, and nothing queues up.
    pub fn subscribe(&self, _topic: &Topic) -> Result<watch::Receiver<u64>> {
        unimplemented!()
    }

    /// An answer about a topic, made at most once for each index of it, and shared. `variant` names everything else
    /// that it depends on: format, filters. `make` reads what it needs from the handle that it is given. Old answers
    /// make room for new ones, within [`Options::max_cached_bytes`](crate::Options::max_cached_bytes).
    ///
    /// An answer that has in it what its topic's index does not cover (the output of checks) is at most as old as the
    /// topic's last change.
    pub fn cached(
        &self,
        _topic: &Topic,
        _variant: &str,
        _make: impl FnOnce(&Handle) -> Bytes,
    ) -> Arc<Cached> {
        unimplemented!()
    }
}
