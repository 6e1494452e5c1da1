//! Where keys belong.

use super::{Slot, hash, maglev, ring};
use crate::dice::{claim, mix, scale, unit};

/// Steps along the table before every member is asked how much it wants the key.
const WALK: usize = 64;

/// No table is smaller or larger, whatever is asked for.
const SIZES: std::ops::RangeInclusive<u32> = 64..=1 << 20;

/// Entries that belong to members; a key begins at one of them and walks on while it is not taken.
#[derive(Debug)]
pub(super) struct Table {
    /// The hash of each member's id.
    keys: Box<[u64]>,
    /// The member of each entry, by its position.
    owners: Box<[u32]>,
    /// Where on the ring the entries are; a Maglev table's are one beside the other.
    index: Option<ring::Index>,
}

impl Table {
    /// `slots` are not empty and each has a weight.
    pub(super) fn ring(slots: &[Slot<'_>], most: u32) -> Self {
        let keys = keys(slots);
        let weights: Vec<u32> = slots.iter().map(|slot| slot.weight).collect();
        let (index, owners) = ring::build(&keys, &weights, clamp(most));
        Self { keys, owners, index: Some(index) }
    }

    /// `slots` are not empty and each has a weight.
    pub(super) fn maglev(slots: &[Slot<'_>], most: u32) -> Self {
        let keys = keys(slots);
        let weights: Vec<u32> = slots.iter().map(|slot| slot.weight).collect();
        let owners = maglev::build(&keys, &weights, clamp(most));
        Self { keys, owners, index: None }
    }

    /// The members that the key meets, for a bounded number of steps.
    pub(super) fn walk(&self, hash: u64) -> impl Iterator<Item = usize> {
        // Keys may come with a hash that is none, a user's number for example.
        let hash = mix(hash);
        let start = match &self.index {
            Some(index) => index.find(hash),
            None => scale(hash, self.owners.len() as u64) as usize,
        };
        let onwards = self.owners[start..].iter().chain(&self.owners[..start]);
        onwards.take(WALK).map(|&position| position as usize)
    }

    /// A number from 0 to 1 that is always the same for this key and this member.
    pub(super) fn chance(&self, hash: u64, position: usize) -> f64 {
        unit(mix(mix(hash) ^ self.keys[position]))
    }

    /// How much a member wants the key when the walk found nobody.
    pub(super) fn claim(&self, hash: u64, position: usize, weight: u64) -> f64 {
        claim(mix(hash), self.keys[position], weight as f64)
    }
}

fn clamp(most: u32) -> usize {
    most.clamp(*SIZES.start(), *SIZES.end()) as usize
}

fn keys(slots: &[Slot<'_>]) -> Box<[u64]> {
    slots.iter().map(|slot| hash(slot.id.as_bytes())).collect()
}
