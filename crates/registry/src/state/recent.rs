//! What changed of late.

use super::State;
use crate::model::snapshot::Changes;

impl State {
    /// What became of instances in the last milliseconds before now; only the last of each.
    pub(crate) fn changes_within(&self, ms: i64, unix_ms: i64) -> Changes {
        let from = unix_ms.saturating_sub(ms);
        match self.log.iter().rev().find(|change| change.unix_ms < from) {
            Some(before) => self.changes_since(before.index),
            None if self.log_from_ms < from => self.changes_since(self.log_from),
            None => Changes::Resync,
        }
    }
}
