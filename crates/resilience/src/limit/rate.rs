//! Requests over time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Limited, Remaining};
use crate::epoch::{Epoch, nanos};

/// No bucket takes longer to fill; a century keeps sums clear of the largest number.
const LONGEST: u64 = 100 * 365 * 24 * 3_600_000_000_000;

/// How many requests may come. Counts of 0 are taken as 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests in each `per`.
    pub requests: u32,
    /// The time for them.
    pub per: Duration,
    /// Requests that may come at once after a pause; they are earned at the same rate.
    pub burst: u32,
}

/// A bucket that holds `burst` requests and fills at a steady rate. All its state is one number, the moment at which it
/// will be full: the generic cell rate algorithm (ITU-T I.371).
#[derive(Debug)]
pub struct TokenBucket {
    rule: Rule,
    epoch: Epoch,
    /// When it is full; it may be in the past.
    full_at: AtomicU64,
}

/// A quota in units of time, whichever those are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    /// How long one request takes to be earned.
    pub(super) interval: u64,
    /// How long an empty bucket takes to fill.
    pub(super) window: u64,
    pub(super) limit: u32,
    /// Nanoseconds in one unit of time.
    unit: u64,
}

impl Quota {
    /// `requests` in each `per`, all of which may come at once.
    pub fn per(requests: u32, per: Duration) -> Self {
        Self { requests, per, burst: requests }
    }
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(quota: Quota) -> Self {
        Self { rule: Rule::new(quota, 1), epoch: Epoch::default(), full_at: AtomicU64::new(0) }
    }

    /// Takes one request from the bucket. One exchange of a word.
    pub fn check(&self, now: Instant) -> Result<Remaining, Limited> {
        let now = self.epoch.nanos(now);
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            let (next, remaining) = self.rule.check(full_at, now)?;
            match self.full_at.compare_exchange_weak(full_at, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(remaining),
                Err(changed) => full_at = changed,
            }
        }
    }
}

impl Rule {
    /// A rule whose unit of time has so many nanoseconds.
    pub(super) fn new(quota: Quota, unit: u64) -> Self {
        let limit = quota.burst.max(1);
        let most = LONGEST / unit / u64::from(limit);
        // Rounded up, so that it is never more than was asked for.
        let interval =
            nanos(quota.per).div_ceil(u64::from(quota.requests.max(1))).div_ceil(unit).clamp(1, most);
        Self { interval, window: interval * u64::from(limit), limit, unit }
    }

    /// When a bucket will be full that was to be full at `full_at`, after one request at `now`.
    pub(super) fn check(&self, full_at: u64, now: u64) -> Result<(u64, Remaining), Limited> {
        let full_at = full_at.max(now);
        let next = full_at.saturating_add(self.interval);
        let missing = next - now;
        if missing > self.window {
            let (retry_after, reset) = (self.duration(missing - self.window), self.duration(full_at - now));
            return Err(Limited { retry_after, limit: self.limit, reset });
        }
        let remaining = ((self.window - missing) / self.interval) as u32;
        Ok((next, Remaining { limit: self.limit, remaining, reset: self.duration(missing) }))
    }

    pub(super) fn duration(&self, units: u64) -> Duration {
        Duration::from_nanos(units.saturating_mul(self.unit))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_may_come_at_once_and_then_at_the_rate() {
        let start = Instant::now();
        let bucket = TokenBucket::new(Quota { requests: 10, per: ms(1000), burst: 3 });
        let left: Vec<_> = (0..3).map(|_| bucket.check(start).unwrap().remaining).collect();
        assert_eq!(left, [2, 1, 0]);
        let limited = bucket.check(start + ms(30)).unwrap_err();
        assert_eq!(limited, Limited { retry_after: ms(70), limit: 3, reset: ms(270) });
        let now = start + ms(100);
        assert_eq!(bucket.check(now), Ok(Remaining { limit: 3, remaining: 0, reset: ms(300) }));
        assert!(bucket.check(now).is_err());
        assert_eq!(bucket.check(now + ms(5000)).unwrap().remaining, 2);
    }

    #[test]
    fn threads_together_get_no_more_than_one() {
        let now = Instant::now();
        let bucket = TokenBucket::new(Quota::per(1000, Duration::from_hours(1)));
        let granted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let count = (0..1000).filter(|_| bucket.check(now).is_ok()).count();
                    granted.fetch_add(count as u64, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(granted.into_inner(), 1000);
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_has_more_than_burst_and_rate(
            requests in 1_u32..50, per in 1_u64..5000, burst in 1_u32..20, steps in prop::collection::vec(0_u64..300, 1..200),
        ) {
            let bucket = TokenBucket::new(Quota { requests, per: ms(per), burst });
            let start = Instant::now();
            let (mut at, mut granted) = (0, Vec::new());
            for step in steps {
                at += step;
                match bucket.check(start + ms(at)) {
                    Ok(_) => granted.push(at),
                    // What it says is true: just before it is too early, then it is time.
                    Err(Limited { retry_after, .. }) => {
                        let early = start + ms(at) + retry_after.saturating_sub(Duration::from_nanos(1));
                        prop_assert!(bucket.check(early).is_err());
                    }
                }
            }
            for (first, from) in granted.iter().enumerate() {
                for (last, to) in granted.iter().enumerate().skip(first) {
                    let earned = f64::from(requests) * (to - from) as f64 / per as f64;
                    prop_assert!((last - first + 1) as f64 <= f64::from(burst) + earned + 1e-6);
                }
            }
        }

        #[test]
        fn quotas_of_any_size_do_no_harm(requests: u32, burst: u32, secs: u64, nanos in 0_u32..1_000_000_000, steps: [u32; 4]) {
            let bucket = TokenBucket::new(Quota { requests, per: Duration::new(secs, nanos), burst });
            let mut now = Instant::now();
            prop_assert!(bucket.check(now).is_ok());
            for step in steps {
                now += Duration::from_secs(u64::from(step));
                let _ = bucket.check(now);
            }
        }
    }
}
