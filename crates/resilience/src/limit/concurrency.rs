//! Requests at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::epoch::{Epoch, nanos};

/// How many requests a [`ConcurrencyLimit`] lets in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConcurrencyOptions {
    /// Most requests at once; 0 is taken as 1.
    pub max: u32,
    /// Moves the limit below `max` by what is measured.
    pub adaptive: Option<Adaptive>,
    /// When those that are refused may ask again.
    pub retry_after: Duration,
}

/// Finds the limit by itself: one more for each round of good requests, a part less for a slow or failed one (additive
/// increase, multiplicative decrease, as TCP does).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adaptive {
    /// The limit never falls below this.
    pub min: u32,
    /// Where it begins.
    pub initial: u32,
    /// A request that takes longer shows that there are too many.
    pub latency: Duration,
    /// What is left of the limit then, from 0.1 to 1.
    pub decrease: f64,
}

/// Counts requests under way and refuses those that are too many.
#[derive(Debug)]
pub struct ConcurrencyLimit {
    inner: Arc<Inner>,
}

/// Leave to work on one request until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the place to another request"]
pub struct Permit {
    limit: Arc<Inner>,
    since: u64,
}

/// Too many requests are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{limit} requests are under way")]
pub struct Full {
    /// When it is worth asking again.
    pub retry_after: Duration,
    /// How many may be under way now.
    pub limit: u32,
}

#[derive(Debug)]
struct Inner {
    options: ConcurrencyOptions,
    epoch: Epoch,
    under_way: AtomicU32,
    /// The limit with its fraction: bits of an `f64`.
    limit: AtomicU64,
    /// When it was last decreased.
    decreased: AtomicU64,
}

impl Default for ConcurrencyOptions {
    fn default() -> Self {
        Self { max: 1024, adaptive: None, retry_after: Duration::from_secs(1) }
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        Self { min: 4, initial: 32, latency: Duration::from_millis(500), decrease: 0.9 }
    }
}

impl ConcurrencyLimit {
    /// A limit with nothing under way.
    pub fn new(options: ConcurrencyOptions) -> Self {
        let max = options.max.max(1);
        let adaptive = options.adaptive.map(|adaptive| Adaptive {
            min: adaptive.min.clamp(1, max),
            initial: adaptive.initial.clamp(adaptive.min.clamp(1, max), max),
            decrease: if adaptive.decrease.is_nan() { 1.0 } else { adaptive.decrease.clamp(0.1, 1.0) },
            ..adaptive
        });
        let limit = adaptive.map_or(max, |adaptive| adaptive.initial);
        let inner = Inner {
            options: ConcurrencyOptions { max, adaptive, ..options },
            epoch: Epoch::default(),
            under_way: AtomicU32::new(0),
            limit: AtomicU64::new(f64::from(limit).to_bits()),
            decreased: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Asks for leave to work on one request. One exchange of a word.
    pub fn try_acquire(&self, now: Instant) -> Result<Permit, Full> {
        let limit = self.limit();
        let one_more = |under_way| (under_way < limit).then(|| under_way + 1);
        match self.inner.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(Permit { limit: Arc::clone(&self.inner), since: self.inner.epoch.nanos(now) }),
            Err(_) => Err(Full { retry_after: self.inner.options.retry_after, limit }),
        }
    }

    /// How many may be under way now.
    pub fn limit(&self) -> u32 {
        f64::from_bits(self.inner.limit.load(Ordering::Relaxed)) as u32
    }

    /// How many are under way.
    pub fn under_way(&self) -> u32 {
        self.inner.under_way.load(Ordering::Relaxed)
    }
}

impl Permit {
    /// The request is over; see [`observe`](Self::observe).
    pub fn finish(self, overloaded: bool, now: Instant) {
        self.observe(overloaded, now);
    }

    /// It is known how long the request took, though its place is needed for longer: while an answer is read, say.
    /// `overloaded` says that whoever worked on it had too much: a timeout, a 503. An adaptive limit
    /// learns from this; a permit that is only dropped (the client went away) teaches nothing.
    pub fn observe(&self, overloaded: bool, now: Instant) {
        let Some(adaptive) = self.limit.options.adaptive else { return };
        let now = self.limit.epoch.nanos(now);
        if overloaded || now.saturating_sub(self.since) > nanos(adaptive.latency) {
            self.limit.decrease(&adaptive, self.since, now);
        } else {
            self.limit.increase();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limit.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    fn increase(&self) {
        let under_way = f64::from(self.under_way.load(Ordering::Relaxed));
        let max = f64::from(self.options.max);
        let grown = |bits| {
            let limit = f64::from_bits(bits);
            // While few come, their speed says nothing about what many would do.
            (under_way * 2.0 >= limit && limit < max).then(|| (limit + 1.0 / limit).min(max).to_bits())
        };
        let _ = self.limit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
    }

    fn decrease(&self, adaptive: &Adaptive, since: u64, now: u64) {
        // A request from before the last decrease was slow because of the old limit.
        let is_news = |decreased| (since >= decreased).then_some(now.max(decreased).saturating_add(1));
        if self.decreased.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_news).is_err() {
            return;
        }
        let smaller =
            |bits| Some((f64::from_bits(bits) * adaptive.decrease).max(f64::from(adaptive.min)).to_bits());
        let _ = self.limit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, smaller);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn adaptive(min: u32, initial: u32, max: u32) -> ConcurrencyLimit {
        let adaptive = Adaptive { min, initial, latency: ms(100), decrease: 0.5 };
        ConcurrencyLimit::new(ConcurrencyOptions { max, adaptive: Some(adaptive), retry_after: ms(2000) })
    }

    #[test]
    fn the_last_place_is_given_once_and_comes_back() {
        let now = Instant::now();
        let limit = ConcurrencyLimit::new(ConcurrencyOptions { max: 2, ..Default::default() });
        let (one, two) = (limit.try_acquire(now).unwrap(), limit.try_acquire(now).unwrap());
        assert_eq!(limit.try_acquire(now).unwrap_err(), Full { retry_after: ms(1000), limit: 2 });
        drop(one);
        two.finish(true, now);
        assert_eq!((limit.under_way(), limit.limit()), (0, 2));
    }

    #[test]
    fn good_rounds_add_one_and_a_slow_one_takes_half() {
        let start = Instant::now();
        let limit = adaptive(2, 8, 100);
        let mut permits: Vec<_> = (0..8).map(|_| limit.try_acquire(start).unwrap()).collect();
        // Three rounds of about ten.
        for _ in 0..27 {
            permits.remove(0).finish(false, start + ms(50));
            while let Ok(permit) = limit.try_acquire(start + ms(50)) {
                permits.push(permit);
            }
        }
        assert_eq!((limit.limit(), permits.len()), (10, 10));
        // All of a round are slow for the same reason.
        for permit in permits {
            permit.finish(false, start + ms(500));
        }
        assert_eq!(limit.limit(), 5);
    }

    #[test]
    fn a_lonely_request_says_nothing() {
        let now = Instant::now();
        let limit = adaptive(2, 8, 100);
        (0..1000).for_each(|_| limit.try_acquire(now).unwrap().finish(false, now));
        assert_eq!(limit.limit(), 8);
    }

    #[test]
    fn threads_never_exceed_the_bound() {
        let now = Instant::now();
        let limit = ConcurrencyLimit::new(ConcurrencyOptions { max: 2, ..Default::default() });
        let inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let Ok(permit) = limit.try_acquire(now) else { continue };
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 2, "more at once than allowed");
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!(limit.under_way(), 0);
    }

    proptest! {
        #[test]
        fn the_limit_stays_in_its_bounds(
            min: u32, initial: u32, max: u32, steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0_u64..300), 1..200),
        ) {
            let limit = adaptive(min, initial, max);
            let mut now = Instant::now();
            let mut permits = Vec::new();
            for (acquires, overloaded, millis) in steps {
                now += ms(millis);
                if acquires {
                    permits.extend(limit.try_acquire(now).ok());
                } else if let Some(permit) = permits.pop() {
                    permit.finish(overloaded, now);
                }
                prop_assert!(limit.limit() >= min.clamp(1, max.max(1)) && limit.limit() <= max.max(1));
                prop_assert_eq!(limit.under_way() as usize, permits.len());
            }
        }
    }
}
