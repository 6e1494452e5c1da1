//! What is remembered of one member.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{OutlierOptions, Reason};
use crate::epoch::nanos;

/// How a request to a member ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered as it should.
    Ok,
    /// A server error that is no gateway failure: 500, say.
    Failure,
    /// 502, 503, 504, or no answer at all: no connection, a broken one, a timeout.
    GatewayFailure,
}

/// One member. Only atomics: a success costs two loads and an addition.
#[derive(Debug)]
pub struct Member {
    start: Instant,
    /// Failures in a row at which to evaluate; 0 is never.
    failures: Run,
    gateway_failures: Run,
    /// Whether the interval's requests are of interest.
    is_counted: bool,
    /// Requests of the interval in the upper half, failures in the lower.
    counts: AtomicU64,
    /// When the ejection ends, in nanoseconds since `start`; 0 if there is none.
    until: AtomicU64,
    /// How many times the base ejection the last one took, less what was forgiven.
    times: AtomicU32,
    /// Good behaviour since then has not been rewarded yet.
    good_since: AtomicU64,
}

#[derive(Debug)]
struct Run {
    now: AtomicU32,
    limit: u32,
}

impl Member {
    pub(super) fn new(options: &OutlierOptions, start: Instant) -> Self {
        Self {
            start,
            failures: Run::new(options.consecutive_failures),
            gateway_failures: Run::new(options.consecutive_gateway_failures),
            is_counted: options.failure_share.is_some() || options.success_rate.is_some(),
            counts: AtomicU64::new(0),
            until: AtomicU64::new(0),
            times: AtomicU32::new(0),
            good_since: AtomicU64::new(0),
        }
    }

    /// Counts a request. True if it is time to [`evaluate`](super::Outliers::evaluate).
    pub fn record(&self, verdict: Verdict) -> bool {
        if self.is_counted {
            let failed = u64::from(verdict != Verdict::Ok);
            self.counts.fetch_add(1 << 32 | failed, Ordering::Relaxed);
        }
        match verdict {
            Verdict::Ok => {
                self.failures.end();
                self.gateway_failures.end();
                false
            }
            Verdict::Failure => {
                self.gateway_failures.end();
                self.failures.go_on()
            }
            // Both are counted, whatever the first one says.
            Verdict::GatewayFailure => self.failures.go_on() | self.gateway_failures.go_on(),
        }
    }

    /// Whether it takes no traffic now. One atomic load; it returns by itself when its time is over.
    pub fn is_ejected(&self, now: Instant) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until != 0 && nanos(now.saturating_duration_since(self.start)) < until
    }

    pub(super) fn is_ejected_at(&self, at: u64) -> bool {
        at < self.until.load(Ordering::Relaxed)
    }

    /// True, once, when an ejection is over.
    pub(super) fn settle(&self, at: u64) -> bool {
        let is_over = |until| (until != 0 && until <= at).then_some(0);
        self.until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_over).is_ok()
    }

    /// Whether a run of failures has reached its limit. Such a run begins anew, whether the member can be ejected or not:
    /// if not, the next one asks again.
    pub(super) fn take_run(&self) -> Option<Reason> {
        let (any, gateway) = (self.failures.take(), self.gateway_failures.take());
        match (any, gateway) {
            (true, _) => Some(Reason::ConsecutiveFailures),
            (_, true) => Some(Reason::ConsecutiveGatewayFailures),
            _ => None,
        }
    }

    /// Requests and failures since the last time.
    pub(super) fn take_counts(&self) -> (u32, u32) {
        let counts = self.counts.swap(0, Ordering::Relaxed);
        ((counts >> 32) as u32, counts as u32)
    }

    /// The next ejection is shorter again, by one step for each whole interval since the last one.
    pub(super) fn forgive(&self, at: u64, interval: u64) {
        let since = self.good_since.load(Ordering::Relaxed);
        let intervals = at.saturating_sub(since) / interval;
        self.good_since.store(since.saturating_add(intervals * interval), Ordering::Relaxed);
        let times = self.times.load(Ordering::Relaxed);
        self.times.store(u64::from(times).saturating_sub(intervals) as u32, Ordering::Relaxed);
    }

    pub(super) fn eject(&self, at: u64, base: Duration, max: Duration) -> Duration {
        let times = self.times.load(Ordering::Relaxed);
        let period = base.saturating_mul(times.saturating_add(1)).min(max);
        // What is beyond the longest time would only have to be forgiven again.
        if period < max || times == 0 {
            self.times.store(times + 1, Ordering::Relaxed);
        }
        self.failures.end();
        self.gateway_failures.end();
        self.counts.store(0, Ordering::Relaxed);
        let until = at.saturating_add(nanos(period));
        self.good_since.store(until, Ordering::Relaxed);
        self.until.store(until, Ordering::Relaxed);
        period
    }
}

impl Run {
    fn new(limit: Option<u32>) -> Self {
        Self { now: AtomicU32::new(0), limit: limit.map_or(0, |limit| limit.max(1)) }
    }

    /// One more. True when it is the one that reaches the limit.
    fn go_on(&self) -> bool {
        self.limit != 0 && self.now.fetch_add(1, Ordering::Relaxed).wrapping_add(1) == self.limit
    }

    fn end(&self) {
        // Most of the time there is nothing to end: then this is a load and no store.
        if self.now.load(Ordering::Relaxed) != 0 {
            self.now.store(0, Ordering::Relaxed);
        }
    }

    fn take(&self) -> bool {
        let is_over = self.limit != 0 && self.now.load(Ordering::Relaxed) >= self.limit;
        if is_over {
            self.end();
        }
        is_over
    }
}
