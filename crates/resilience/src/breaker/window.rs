//! Requests and failures of the last while, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::epoch::{Epoch, nanos};

/// A breaker that opens for too large a share of failures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// How far it looks back, to a tenth.
    pub period: Duration,
    /// Requests in it below which nothing is said.
    pub min_requests: u32,
    /// Share of failures that opens the breaker, from 0 to 1.
    pub failure_share: f64,
}

/// The window slides by one of these at a time.
const BUCKETS: usize = 10;

// One word holds a bucket: 20 bits of the number of its span, 22 bits of requests, 22 bits of failures. The number comes
// around after a million spans; a bucket that lay untouched for exactly that long would count once more.
const COUNT_BITS: u32 = 22;
const MOST: u64 = (1 << COUNT_BITS) - 1;
const TICKS: u64 = 1 << 20;

/// By how many spans a caller's clock may be behind.
const LATE: u64 = 1000;

#[derive(Debug)]
pub(super) struct Counts {
    window: Window,
    epoch: Epoch,
    /// Nanoseconds of one bucket.
    span: u64,
    buckets: [AtomicU64; BUCKETS],
}

impl Counts {
    pub(super) fn new(window: Window) -> Self {
        let span = nanos(window.period) / BUCKETS as u64;
        Self { window, epoch: Epoch::default(), span: span.max(1), buckets: Default::default() }
    }

    /// Counts one request. One exchange of a word.
    pub(super) fn count(&self, is_failure: bool, now: Instant) {
        let tick = self.tick(now);
        let add = |word| {
            let (at, requests, failures) = unpack(word);
            // Callers read the clock earlier: a bucket that is newer already takes what comes late.
            let is_old = (1..TICKS - LATE).contains(&(tick.wrapping_sub(at) % TICKS));
            let (at, requests, failures) =
                if is_old { (tick % TICKS, 0, 0) } else { (at, requests, failures) };
            // A full bucket keeps its proportions.
            let (requests, failures) =
                if requests == MOST { (requests / 2, failures / 2) } else { (requests, failures) };
            Some(pack(at, requests + 1, failures + u64::from(is_failure)))
        };
        let bucket = &self.buckets[(tick % BUCKETS as u64) as usize];
        let _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Whether the share of failures is too large.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let tick = self.tick(now);
        let (mut requests, mut failures) = (0, 0);
        for bucket in &self.buckets {
            let (at, r, f) = unpack(bucket.load(Ordering::Relaxed));
            if tick.wrapping_sub(at) % TICKS < BUCKETS as u64 {
                requests += r;
                failures += f;
            }
        }
        let share = failures as f64 / requests as f64;
        requests >= u64::from(self.window.min_requests.max(1)) && share >= self.window.failure_share
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.buckets.iter().for_each(|bucket| bucket.store(0, Ordering::Relaxed));
    }

    fn tick(&self, now: Instant) -> u64 {
        self.epoch.nanos(now) / self.span
    }
}

fn pack(tick: u64, requests: u64, failures: u64) -> u64 {
    tick << (2 * COUNT_BITS) | requests << COUNT_BITS | failures
}

fn unpack(word: u64) -> (u64, u64, u64) {
    (word >> (2 * COUNT_BITS), word >> COUNT_BITS & MOST, word & MOST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Window = Window { period: Duration::from_secs(10), min_requests: 5, failure_share: 0.5 };

    #[test]
    fn a_full_bucket_keeps_its_proportions() {
        let counts = Counts::new(WINDOW);
        let now = Instant::now();
        counts.buckets[0].store(pack(0, MOST, MOST), Ordering::Relaxed);
        counts.count(true, now);
        assert_eq!(unpack(counts.buckets[0].load(Ordering::Relaxed)), (0, MOST / 2 + 1, MOST / 2 + 1));
    }

    proptest! {
        #[test]
        fn it_counts_what_a_list_of_all_requests_counts(
            steps in prop::collection::vec((any::<bool>(), 0_u64..40), 1..200), pause in 0..TICKS - LATE - BUCKETS as u64,
        ) {
            let start = Instant::now();
            let counts = Counts::new(WINDOW);
            let (mut second, mut all) = (0, Vec::new());
            for (n, (is_failure, tenths)) in steps.into_iter().enumerate() {
                second += tenths / 10;
                second += if n == 50 { pause } else { 0 };
                let now = start + Duration::from_secs(second);
                counts.count(is_failure, now);
                all.push((second, is_failure));
                let seen = || all.iter().filter(|(at, _)| at + 10 > second);
                let failures = seen().filter(|(_, failed)| *failed).count();
                prop_assert_eq!(counts.is_over(now), seen().count() >= 5 && failures * 2 >= seen().count());
            }
        }
    }
}
