//! Which of several targets of a route a request goes to: versions side by side, a canary.

use crate::balance::hash;
use crate::dice::{claim, mix, scale};

/// A choice among targets by weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    targets: Box<[Target]>,
    total: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Target {
    /// Hash of its name.
    key: u64,
    weight: u32,
}

impl Split {
    /// Targets by name and weight; 0 is never chosen. Names decide which keys a target gets, so that it keeps them when
    /// others are added or the order changes. A name that is there twice is two targets.
    pub fn new<'a>(targets: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let mut all: Vec<Target> = Vec::new();
        for (name, weight) in targets {
            let mut key = hash(name.as_bytes());
            while all.iter().any(|target| target.key == key) {
                key = mix(key);
            }
            all.push(Target { key, weight });
        }
        let total = all.iter().map(|target| u64::from(target.weight)).sum();
        Self { targets: all.into(), total }
    }

    /// The index of a target by chance. `random` is 64 random bits. `None` if none has a weight.
    pub fn pick(&self, random: u64) -> Option<usize> {
        let mut point = scale(random, self.total);
        self.targets.iter().position(|target| {
            let weight = u64::from(target.weight);
            let is_here = point < weight;
            point = point.saturating_sub(weight);
            is_here
        })
    }

    /// The index of the target that a key belongs to; `hash` is that of the key. The same key stays on the same target.
    /// When one weight changes, keys move only to that target or only away from it, and as few as its share allows.
    pub fn pick_sticky(&self, hash: u64) -> Option<usize> {
        let weighted = self.targets.iter().enumerate().filter(|(_, target)| target.weight > 0);
        let claims = weighted.map(|(n, target)| (claim(mix(hash), target.key, f64::from(target.weight)), n));
        claims.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, n)| n)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

    fn split(weights: &[u32]) -> Split {
        Split::new(NAMES.into_iter().zip(weights.iter().copied()))
    }

    #[test]
    fn nobody_with_a_weight_is_none() {
        assert_eq!((split(&[]).pick(7), split(&[0, 0]).pick_sticky(7)), (None, None));
        assert_eq!((split(&[0, 1]).pick(7), split(&[0, 1]).pick_sticky(7)), (Some(1), Some(1)));
    }

    #[test]
    fn shares_follow_the_weights() {
        let split = split(&[90, 0, 9, 1]);
        for picks in [|s: &Split, n| s.pick(mix(n)), |s: &Split, n| s.pick_sticky(n)] {
            let mut counts = [0_u32; 4];
            (0..50_000).filter_map(|n| picks(&split, n)).for_each(|n| counts[n] += 1);
            for (count, expected) in counts.into_iter().zip([0.9, 0.0, 0.09, 0.01]) {
                assert!((f64::from(count) / 50_000.0 - expected).abs() < 0.005, "{count}");
            }
        }
    }

    #[test]
    fn a_name_that_is_there_twice_has_both_shares() {
        let split = Split::new([("a", 1), ("b", 1), ("a", 1)]);
        let mut counts = [0_u32; 3];
        (0..30_000).filter_map(|n| split.pick_sticky(mix(n))).for_each(|n| counts[n] += 1);
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 400), "{counts:?}");
    }

    #[test]
    fn only_the_share_that_changes_moves() {
        let (before, after) = (split(&[90, 10]), split(&[80, 20]));
        let moved = (0..20_000).filter(|&key| before.pick_sticky(key) != after.pick_sticky(key)).count();
        assert!((moved as f64 / 20_000.0 - 0.1).abs() < 0.01, "{moved}");
    }

    proptest! {
        #[test]
        fn a_heavier_target_only_gains(mut weights in prop::collection::vec(0_u32..100, 1..5), who: prop::sample::Index, more: u16, key: u64) {
            let who = who.index(weights.len());
            let before = split(&weights).pick_sticky(key);
            weights[who] += u32::from(more);
            let after = split(&weights).pick_sticky(key);
            prop_assert!(after == before || after == Some(who));
        }
    }
}
