//! One write to the file of a registry that shares its store with nobody, and what memory has to know of it when it is
//! done, or is not.

use crate::model::names::InstanceKey;
use crate::state::{Dirty, State};
use crate::table::{FileRows, Row, lower};

/// So many places of no use are emptied with one write.
const SWEEP: usize = 512;

/// One write.
#[derive(Debug, Default)]
pub(crate) struct FileWrite {
    /// What is to be written.
    pub(crate) rows: FileRows,
    /// Places that are given out with it.
    new: Vec<(InstanceKey, u64)>,
    /// Instances whose row goes.
    removed: Vec<InstanceKey>,
    /// Places of no use that are emptied on the way.
    swept: Vec<u64>,
}

impl FileWrite {
    /// Adds rows, each at its place.
    pub(crate) fn add(&mut self, rows: Vec<Row>, state: &mut State) {
        for row in rows {
            match row {
                Row::Instance(key, body) => {
                    let (mut place, node) = (state.place_of(&key), lower(&key.node));
                    if place == 0 {
                        place = state.new_place();
                        self.new.push((key, place));
                    }
                    self.rows.put.push((place, node, body));
                }
                Row::NoInstance(key) => {
                    let place = state.place_of(&key);
                    if place > 0 {
                        self.rows.empty.push(place);
                        self.removed.push(key);
                    }
                }
                other => self.rows.others.push(other),
            }
        }
    }

    /// Empties places of no use as well.
    pub(crate) fn sweep(&mut self, state: &mut State) {
        self.swept = state.take_free(SWEEP);
        self.rows.empty.extend(&self.swept);
    }

    /// It is done: what it removed has no row any more. To be told before what it was for is done in memory.
    pub(crate) fn removed(&self, state: &mut State) {
        for key in &self.removed {
            state.row_is_gone(key);
        }
    }

    /// It is done, and what it was for, too.
    pub(crate) fn placed(self, state: &mut State) {
        for (key, place) in self.new {
            state.put_at(&key, place);
        }
    }

    /// Nobody knows whether it was done.
    pub(crate) fn not_written(self, state: &mut State) {
        // Those that a row belongs to have it still, and are written anew there.
        state.put_free(self.swept);
        state.put_free(self.new.into_iter().map(|(_, place)| place));
        state.put_dirty(self.removed.into_iter().map(Dirty::Instance).collect());
    }
}
