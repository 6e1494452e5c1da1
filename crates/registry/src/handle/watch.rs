//! Waiting for changes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit, TryAcquireError, watch};
use trellis_net::{Cached, Index};

use super::Handle;
use crate::error::{Error, Result};
use crate::model::topic::Topic;
use crate::state::State;

impl Handle {
    /// The index of the whole state. At least 1, and higher than in any earlier run.
    pub fn index(&self) -> u64 {
        self.shared.read(State::index)
    }

    /// The index of a topic. At least 1; that of something unknown is that of the last such thing that went.
    pub fn topic_index(&self, topic: &Topic) -> u64 {
        self.shared.read(|state| state.topic_index(topic))
    }

    /// The index of a topic as soon as it is higher than `after`, or when `wait` has passed; then it may be the same. An
    /// `after` that is higher than the index (it is from another run, or another `trellis`) is answered at once with
    /// the index that is: the client starts again from there.
    ///
    /// A wait is at most [`Options::max_wait`](crate::Options::max_wait); the caller adds or takes off what its protocol
    /// asks for. Refused with [`Error::TooManyWaiters`](crate::Error::TooManyWaiters) or
    /// [`Error::TooManyTopics`](crate::Error::TooManyTopics) when too many wait, or for too many topics.
    pub async fn watch_topic(&self, topic: &Topic, after: u64, wait: Duration) -> Result<u64> {
        let index = self.topic_index(topic);
        if index < after {
            self.shared.counters.resyncs.add(1);
        }
        if index != after || wait.is_zero() {
            return Ok(index);
        }
        // Those who wait already get what there is; whoever comes back with that would do nothing but ask.
        if self.shared.closing.is_triggered() {
            return Err(Error::Stopping);
        }
        let _place = self.place()?;
        let mut live = self.subscribe(topic)?;
        tokio::select! {
            changed = live.wait_for(|index| *index != after) => {
                if changed.is_ok() {
                    self.shared.counters.wakes.add(1);
                }
            }
            () = self.shared.closing.triggered() => {}
            () = tokio::time::sleep(wait.min(self.shared.options.max_wait)) => {}
        }
        Ok(self.topic_index(topic))
    }

    /// Room for one more who waits.
    pub(super) fn place(&self) -> Result<SemaphorePermit<'_>> {
        self.shared.waiters.try_acquire().map_err(|full| self.too_many(full))
    }

    /// The same for one who waits on and on.
    pub(super) fn owned_place(&self) -> Result<OwnedSemaphorePermit> {
        self.shared.waiters.clone().try_acquire_owned().map_err(|full| self.too_many(full))
    }

    fn too_many(&self, _: TryAcquireError) -> Error {
        self.shared.counters.refused.add(1);
        Error::TooManyWaiters(self.shared.options.max_waiters)
    }

    /// A live index of a topic: `borrow()` is the current one, `changed()` wakes on the next. For pushing doors; the
    /// last value is never missed, and nothing queues up.
    pub fn subscribe(&self, topic: &Topic) -> Result<watch::Receiver<u64>> {
        self.shared.subscribe(topic).inspect_err(|_| self.shared.counters.refused.add(1))
    }

    /// An answer about a topic, made at most once for each index of it, and shared. `variant` names everything else
    /// that it depends on: format, filters. `make` reads what it needs from the handle that it is given. Old answers
    /// make room for new ones, within [`Options::max_cached_bytes`](crate::Options::max_cached_bytes).
    ///
    /// An answer that has in it what its topic's index does not cover (the output of checks) is at most as old as the
    /// topic's last change.
    pub fn cached(&self, topic: &Topic, variant: &str, make: impl FnOnce(&Handle) -> Bytes) -> Arc<Cached> {
        let (wanted, most) = (Index::Since(self.topic_index(topic)), self.shared.options.max_cached_bytes);
        self.counted(self.shared.cache.get(topic, variant, wanted, most, || make(self)))
    }

    /// An answer, and whether it was there already.
    pub(super) fn counted(&self, (answer, hit): (Arc<Cached>, bool)) -> Arc<Cached> {
        let counters = &self.shared.counters;
        if hit {
            counters.cache_hits.add(1);
        } else {
            counters.cache_misses.add(1);
        }
        answer
    }
}
