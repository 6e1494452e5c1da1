//! Whether our own zone's members are enough.

use std::sync::atomic::{AtomicU8, Ordering};

use super::group::Group;
use super::{BalancerOptions, Loads, Slot};

/// Members of a zone that are counted at every pick. In a larger one they are counted at some picks only, so that this
/// is the mean for all.
const COUNTED: usize = 8;

const UNKNOWN: u8 = 0;
const ENOUGH: u8 = 1;
const FEW: u8 = 2;

/// The members in our own zone.
#[derive(Debug)]
pub(super) struct Zone {
    pub(super) group: Group,
    /// How many must be eligible.
    needed: usize,
    /// What the last count said.
    verdict: AtomicU8,
    /// Counts when these of the random bits are 0.
    mask: u64,
}

impl Zone {
    /// `None` if there is nothing to prefer: no zone of our own, nobody in it, or everybody.
    pub(super) fn new(options: &BalancerOptions, slots: &[Slot<'_>]) -> Option<Self> {
        let own = options.zone.as_deref()?;
        let is_near = |slot: &Slot<'_>| slot.zone == Some(own);
        if slots.iter().all(is_near) {
            return None;
        }
        let group = Group::new(options, slots, is_near);
        let members = group.len();
        let needed = (members as f64 * options.zone_share).ceil() as usize;
        let mask = (members / COUNTED).max(1).next_power_of_two() as u64 - 1;
        let zone =
            Self { group, needed: needed.clamp(1, members.max(1)), verdict: AtomicU8::new(UNKNOWN), mask };
        (members > 0).then_some(zone)
    }

    pub(super) fn is_preferred<L: Loads + ?Sized>(&self, loads: &L, random: u64) -> bool {
        let known = self.verdict.load(Ordering::Relaxed);
        if known != UNKNOWN && random & self.mask != 0 {
            return known == ENOUGH;
        }
        let is_enough = self.group.eligible(loads, self.needed) >= self.needed;
        let verdict = if is_enough { ENOUGH } else { FEW };
        // Everybody reads this; it is written only when it changes.
        if verdict != known {
            self.verdict.store(verdict, Ordering::Relaxed);
        }
        is_enough
    }
}
