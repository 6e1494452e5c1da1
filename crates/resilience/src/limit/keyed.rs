//! A rate limit for each of many keys: clients, tokens, tenants.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::rate::Rule;
use super::{Limited, Quota, Remaining};
use crate::balance::hash_with;
use crate::dice::{mix, scale};
use crate::epoch::Epoch;
use crate::lock;

/// Keys that share a lock and the room for them.
const SET: usize = 32;

/// How a [`KeyedRateLimit`] is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedOptions {
    /// What each key may do.
    pub quota: Quota,
    /// Most keys that are remembered, 16 bytes each. Room is taken as keys come.
    pub max_keys: usize,
}

/// Buckets by key, in a bounded number.
///
/// A key always falls into the same set of at most 32. When a new key finds its set full, it takes the place of the one
/// whose bucket is nearest to full: a full bucket is forgotten without anybody noticing, and another one gives its key
/// the least that is too much. The second is an overflow. Sets fill unevenly, so overflows begin a little before
/// `max_keys` are in use.
#[derive(Debug)]
pub struct KeyedRateLimit {
    rule: Rule,
    seed: u64,
    epoch: Epoch,
    sets: Box<[Mutex<Vec<Bucket>>]>,
    /// Most keys in a set.
    room: usize,
    overflows: AtomicU64,
}

#[derive(Debug)]
struct Bucket {
    key: u64,
    full_at: u64,
}

impl KeyedRateLimit {
    /// Full buckets for everybody. `seed` is random: with it, callers cannot choose keys that share a bucket.
    pub fn new(options: KeyedOptions, seed: u64) -> Self {
        let sets = (options.max_keys / SET).max(1);
        Self {
            rule: Rule::new(options.quota, 1),
            seed,
            epoch: Epoch::default(),
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            room: options.max_keys.clamp(1, SET),
            overflows: AtomicU64::new(0),
        }
    }

    /// Takes one request from the bucket of `key`.
    pub fn check(&self, key: &[u8], now: Instant) -> Result<Remaining, Limited> {
        self.check_hash(hash_with(self.seed, key), now)
    }

    /// The same with a key that is a number already: a hash of 64 good bits.
    pub fn check_hash(&self, key: u64, now: Instant) -> Result<Remaining, Limited> {
        let now = self.epoch.nanos(now);
        let set = scale(mix(key ^ self.seed), self.sets.len() as u64) as usize;
        let mut buckets = lock(&self.sets[set]);
        if let Some(bucket) = buckets.iter_mut().find(|bucket| bucket.key == key) {
            let (full_at, remaining) = self.rule.check(bucket.full_at, now)?;
            bucket.full_at = full_at;
            return Ok(remaining);
        }
        // A new key: its bucket is full, so this one passes.
        let (full_at, remaining) = self.rule.check(0, now)?;
        self.make_room(&mut buckets, now);
        buckets.push(Bucket { key, full_at });
        Ok(remaining)
    }

    /// Keys that were forgotten while their buckets were not full. Those could do more than their quota: `max_keys` is
    /// too small.
    pub fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }

    /// Keys that are remembered. Looks at every set: for metrics.
    pub fn keys(&self) -> usize {
        self.sets.iter().map(|set| lock(set).len()).sum()
    }

    /// Makes sure that one more fits. A full bucket goes even if there is room: memory follows the keys in use.
    fn make_room(&self, buckets: &mut Vec<Bucket>, now: u64) {
        let nearest = buckets.iter().enumerate().min_by_key(|(_, bucket)| bucket.full_at);
        let Some((index, is_full)) = nearest.map(|(index, bucket)| (index, bucket.full_at <= now)) else {
            return;
        };
        if is_full || buckets.len() >= self.room {
            buckets.swap_remove(index);
            self.overflows.fetch_add(u64::from(!is_full), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::limit::TokenBucket;

    const QUOTA: Quota = Quota { requests: 1, per: Duration::from_secs(1), burst: 3 };

    fn limit(max_keys: usize) -> KeyedRateLimit {
        KeyedRateLimit::new(KeyedOptions { quota: QUOTA, max_keys }, 7)
    }

    #[test]
    fn every_key_has_a_bucket_of_its_own() {
        let (limit, now) = (limit(1000), Instant::now());
        for key in [&b"10.0.0.1"[..], b"10.0.0.2"] {
            assert_eq!((0..9).filter(|_| limit.check(key, now).is_ok()).count(), 3);
        }
        assert_eq!((limit.keys(), limit.overflows()), (2, 0));
    }

    #[test]
    fn full_buckets_make_room_and_others_overflow() {
        let (limit, start) = (limit(2), Instant::now());
        let check = |key, secs| limit.check_hash(key, start + Duration::from_secs(secs)).unwrap().remaining;
        check(1, 0);
        check(2, 0);
        check(2, 0);
        // 1 is full again, 2 is not.
        assert_eq!((check(3, 1), limit.overflows()), (2, 0));
        assert_eq!(check(2, 1), 1);
        // Neither is full; 3 is nearer to it.
        assert_eq!((check(4, 1), limit.overflows()), (2, 1));
        assert_eq!((check(2, 1), limit.keys()), (0, 2));
    }

    #[test]
    fn memory_follows_the_keys_in_use() {
        let (limit, start) = (limit(10_000), Instant::now());
        for key in 0..10_000 {
            // Each bucket is full again after a second, in which ten keys come.
            let now = start + Duration::from_millis(key * 100);
            assert!(limit.check_hash(mix(key), now).is_ok());
        }
        assert!(limit.keys() < 1000 && limit.overflows() == 0, "{}", limit.keys());
    }

    proptest! {
        #[test]
        fn keys_are_bounded_and_limited_like_one(
            steps in prop::collection::vec((0_u64..100, 0_u64..200), 1..300), max_keys in 0_usize..200,
        ) {
            let limit = limit(max_keys);
            let alone: Vec<_> = (0..100).map(|_| TokenBucket::new(QUOTA)).collect();
            let mut now = Instant::now();
            for (key, millis) in steps {
                now += Duration::from_millis(millis);
                let (one, many) = (alone[key as usize].check(now), limit.check_hash(key, now));
                if limit.overflows() == 0 {
                    prop_assert_eq!(one, many);
                }
                prop_assert!(limit.keys() <= max_keys.max(1));
            }
        }
    }
}
