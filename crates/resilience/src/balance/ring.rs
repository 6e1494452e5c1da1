//! A ring of points; a key belongs to the member of the first point at or after its hash.

use crate::dice::mix;

/// Points for each unit of weight, as a power of two, as long as the ring has room for them.
const POINTS: i32 = 8;

/// Finds the first point at or after a hash. The points are spread evenly, so that their high bits tell nearly where.
#[derive(Debug)]
pub(super) struct Index {
    points: Box<[u64]>,
    /// For each value of the high bits, the first point that has it or a greater one.
    starts: Box<[u32]>,
    shift: u32,
}

/// The points of the members and whose they are.
///
/// How many points a member has depends on its own weight and on a scale that changes only when the sum of all weights
/// crosses a power of two and the ring is full. In between, a member that comes or goes moves no key of others.
pub(super) fn build(keys: &[u64], weights: &[u32], most: usize) -> (Index, Box<[u32]>) {
    let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    let fits = |points: i32| shift(total, points) <= most as u64;
    let scale = (-64..=POINTS).rev().find(|&points| fits(points)).unwrap_or(-64);

    let mut ring: Vec<(u64, u64, u32)> = Vec::with_capacity(shift(total, scale) as usize + keys.len());
    for ((owner, &key), &weight) in (0_u32..).zip(keys).zip(weights) {
        let count = shift(u64::from(weight), scale).max(1);
        ring.extend((0..count).map(|nth| (mix(key ^ mix(nth)), key, owner)));
    }
    // Two points in one place: the order of the keys decides, which is the same everywhere.
    ring.sort_unstable();
    let points: Box<[u64]> = ring.iter().map(|&(point, ..)| point).collect();
    let owners = ring.iter().map(|&(.., owner)| owner).collect();
    (Index::new(points), owners)
}

impl Index {
    fn new(points: Box<[u64]>) -> Self {
        let bits = points.len().max(2).ilog2();
        let shift = 64 - bits;
        let starts =
            (0..1_u64 << bits).map(|high| points.partition_point(|&point| point < high << shift) as u32);
        Self { starts: starts.collect(), points, shift }
    }

    /// The place of the first point at or after `hash`; after the last comes the first.
    pub(super) fn find(&self, hash: u64) -> usize {
        let start = self.starts[(hash >> self.shift) as usize] as usize;
        let steps = self.points[start..].iter().position(|&point| point >= hash);
        steps.map_or(0, |steps| start + steps)
    }
}

fn shift(number: u64, by: i32) -> u64 {
    if by >= 0 { number.saturating_mul(1 << by) } else { number.checked_shr(by.unsigned_abs()).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_index_finds_what_a_search_finds(points in prop::collection::btree_set(any::<u64>(), 1..300), hash: u64) {
            let points: Box<[u64]> = points.into_iter().collect();
            let expected = points.partition_point(|&point| point < hash) % points.len();
            prop_assert_eq!(Index::new(points).find(hash), expected);
        }

        #[test]
        fn a_ring_is_bounded_and_nobody_is_left_out(weights in prop::collection::vec(1_u32.., 1..80)) {
            let keys: Vec<u64> = (0..weights.len() as u64).map(mix).collect();
            let (_, owners) = build(&keys, &weights, 4096);
            prop_assert!(owners.len() <= 4096 + keys.len());
            prop_assert!((0..keys.len() as u32).all(|owner| owners.contains(&owner)));
        }
    }
}
