//! Where the rows of instances are in the file of a registry that shares its store with nobody.
//!
//! The file has no index of its own for them: memory knows the place of each, new ones go to the end, and so a write
//! touches few pages, however many instances there are.

use std::collections::BTreeSet;

use super::State;
use crate::model::names::InstanceKey;

/// Which places there are.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The last one that was given out.
    last: u64,
    /// Rows of instances that memory does not have any more, and those of which nobody knows whether they were written.
    free: BTreeSet<u64>,
}

impl Places {
    /// What is at a place is of no use any more.
    pub(super) fn leave(&mut self, place: u64) {
        if place > 0 {
            self.free.insert(place);
        }
    }
}

impl State {
    /// A place that was never given out.
    pub(crate) fn new_place(&mut self) -> u64 {
        self.places.last += 1;
        self.places.last
    }

    /// Where an instance's row is; 0: it has none.
    pub(crate) fn place_of(&self, key: &InstanceKey) -> u64 {
        self.record(key).map_or(0, |record| record.place)
    }

    /// An instance has its row at this place, and no other one; if it is not there any more, the place is of no use.
    pub(crate) fn put_at(&mut self, key: &InstanceKey, place: u64) {
        self.places.last = self.places.last.max(place);
        let is_kept = self.record(key).is_some_and(|record| record.durable);
        let left = if is_kept { self.set_place(key, place) } else { place };
        if left != place || !is_kept {
            self.places.leave(left);
        }
    }

    /// An instance's row is gone.
    pub(crate) fn row_is_gone(&mut self, key: &InstanceKey) {
        self.set_place(key, 0);
    }

    /// Places whose rows are of no use; at most `most`.
    pub(crate) fn take_free(&mut self, most: usize) -> Vec<u64> {
        std::iter::from_fn(|| self.places.free.pop_first()).take(most).collect()
    }

    /// Takes back [`Self::take_free`], or adds to it.
    pub(crate) fn put_free(&mut self, places: impl IntoIterator<Item = u64>) {
        self.places.free.extend(places);
    }

    /// Whether rows have to be emptied or written anew.
    pub(crate) fn has_unwritten(&self) -> bool {
        self.has_dirty() || !self.places.free.is_empty()
    }

    /// Sets it, and says which it was.
    fn set_place(&mut self, key: &InstanceKey, place: u64) -> u64 {
        let record = self.slot(key).and_then(|slot| self.records.get_mut(slot));
        record.map_or(0, |record| std::mem::replace(&mut record.place, place))
    }
}
