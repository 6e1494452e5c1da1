//! Where the rows of instances are in the file of a registry that shares its store with nobody.
//!
//! The file has no index of its own for them: memory knows the place of each, new ones go to the end, and so a write
//! touches few pages, however many instances there are.

use std::collections::BTreeSet;

use super::{Dirty, State};
use crate::model::names::InstanceKey;
use crate::table::{FileRows, Row, lower};

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

/// One write to the file, and what memory has to know of it when it is done, or is not.
#[derive(Debug, Default)]
pub(crate) struct FileWrite {
    pub(crate) rows: FileRows,
    /// Places that are given out with it.
    new: Vec<(InstanceKey, u64)>,
    /// Instances whose row goes.
    removed: Vec<InstanceKey>,
    /// Places of no use that are emptied on the way.
    swept: Vec<u64>,
}

/// So many places of no use are emptied with a write that is made anyway.
const SWEEP: usize = 512;

impl State {
    /// Adds rows to a write.
    pub(crate) fn locate(&mut self, rows: Vec<Row>, write: &mut FileWrite) {
        for row in rows {
            match row {
                Row::Instance(key, body) => {
                    let known = self.place_of(&key);
                    if known == 0 {
                        self.places.last += 1;
                        write.new.push((key.clone(), self.places.last));
                    }
                    let place = if known == 0 { self.places.last } else { known };
                    write.rows.put.push((place, lower(&key.node), body));
                }
                Row::NoInstance(key) => {
                    let place = self.place_of(&key);
                    if place > 0 {
                        write.rows.empty.push(place);
                        write.removed.push(key);
                    }
                }
                other => write.rows.others.push(other),
            }
        }
    }

    /// Adds places of no use to a write, `most` if it has nothing else to do.
    pub(crate) fn sweep(&mut self, write: &mut FileWrite, most: usize) {
        let most = if write.rows.is_empty() { most } else { SWEEP };
        while write.swept.len() < most
            && let Some(place) = self.places.free.pop_first()
        {
            write.swept.push(place);
        }
        write.rows.empty.extend(&write.swept);
    }

    /// Whether rows have to be emptied or written anew.
    pub(crate) fn has_unwritten(&self) -> bool {
        self.has_dirty() || !self.places.free.is_empty()
    }

    /// A write is done: what it removed has no row any more. To be told before what it was for is done in memory.
    pub(crate) fn removed(&mut self, write: &FileWrite) {
        for key in &write.removed {
            self.set_place(key, 0);
        }
    }

    /// A write is done, and what it was for, too.
    pub(crate) fn placed(&mut self, write: FileWrite) {
        for (key, place) in write.new {
            self.put_at(&key, place);
        }
    }

    /// Nobody knows whether a write was done.
    pub(crate) fn not_written(&mut self, write: FileWrite) {
        // Those that a row belongs to have it still, and are written anew there.
        self.places.free.extend(write.swept);
        self.places.free.extend(write.new.into_iter().map(|(_, place)| place));
        self.dirty.extend(write.removed.into_iter().map(Dirty::Instance));
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

    /// 0: it has none.
    fn place_of(&self, key: &InstanceKey) -> u64 {
        self.record(key).map_or(0, |record| record.place)
    }

    /// Sets it, and says which it was.
    fn set_place(&mut self, key: &InstanceKey, place: u64) -> u64 {
        let record = self.slot(key).and_then(|slot| self.records.get_mut(slot));
        record.map_or(0, |record| std::mem::replace(&mut record.place, place))
    }
}
