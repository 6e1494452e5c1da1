//! How long a member is expected to take, from how long it took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::epoch::Epoch;

/// Longest time that a failed member's own `Retry-After` counts for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

/// While requests are under way, the estimate fades this many times slower. No answer is no reason to think better of a
/// member: one that hangs would look faster and faster and draw everything to it.
const PATIENCE: f64 = 8.0;

/// An estimate that jumps up with a slow answer at once and comes down over time: a member that turns slow is avoided
/// from the first answer on. (Finagle's "peak EWMA".)
#[derive(Debug)]
pub struct PeakEwma {
    /// Nanoseconds in which an old observation loses all but 1/e of its weight.
    decay: f64,
    epoch: Epoch,
    /// The estimate at `seen`, in nanoseconds: bits of an `f64`.
    estimate: AtomicU64,
    seen: AtomicU64,
}

impl PeakEwma {
    /// An estimate of `default_rtt`, which fades like one that was observed: a new member is tried soon, but not by
    /// everybody at once. `decay` is the time in which an observation loses 63% of its weight.
    pub fn new(decay: Duration, default_rtt: Duration) -> Self {
        Self {
            decay: (decay.as_nanos() as f64).max(1.0),
            epoch: Epoch::default(),
            estimate: AtomicU64::new((default_rtt.as_nanos() as f64).to_bits()),
            seen: AtomicU64::new(0),
        }
    }

    /// An answer came after `rtt`.
    pub fn observe(&self, rtt: Duration, now: Instant) {
        let now = self.epoch.nanos(now);
        // Each stretch of time goes to one observer, even if several come at once.
        let elapsed = now.saturating_sub(self.seen.fetch_max(now, Ordering::Relaxed));
        let keep = self.fade(elapsed, 1.0);
        let rtt = rtt.as_nanos() as f64;
        let next = |bits| {
            let old = f64::from_bits(bits);
            Some(if rtt > old { rtt } else { rtt + (old - rtt) * keep }.to_bits())
        };
        let _ = self.estimate.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// A request failed: counts like an answer after `penalty`, or after the time that the member asked for, up to a
    /// minute. Failing is quick, and without this a broken member would be the fastest.
    pub fn observe_failure(&self, penalty: Duration, retry_after: Option<Duration>, now: Instant) {
        let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        self.observe(penalty.max(asked), now);
    }

    /// What one more request is expected to wait for, in nanoseconds, with `outstanding` under way already. Without
    /// answers the estimate fades towards 0, so that a member that was slow once is tried again.
    pub fn cost(&self, now: Instant, outstanding: u32) -> f64 {
        let elapsed = self.epoch.nanos(now).saturating_sub(self.seen.load(Ordering::Relaxed));
        let patience = if outstanding == 0 { 1.0 } else { PATIENCE };
        let estimate = f64::from_bits(self.estimate.load(Ordering::Relaxed)) * self.fade(elapsed, patience);
        estimate * (f64::from(outstanding) + 1.0)
    }

    /// The estimate as it was at the last observation.
    pub fn estimate(&self) -> Duration {
        Duration::from_nanos(f64::from_bits(self.estimate.load(Ordering::Relaxed)) as u64)
    }

    /// What is left of 1 after `elapsed` nanoseconds.
    fn fade(&self, elapsed: u64, patience: f64) -> f64 {
        (-(elapsed as f64) / (self.decay * patience)).exp()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DECAY: Duration = Duration::from_secs(10);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn is_near(cost: f64, expected: Duration) -> bool {
        (cost / expected.as_nanos() as f64 - 1.0).abs() < 0.01
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_fast_ones_over_time() {
        let start = Instant::now();
        let ewma = PeakEwma::new(DECAY, ms(30));
        ewma.observe(ms(10), start);
        ewma.observe(ms(500), start);
        assert!(is_near(ewma.cost(start, 0), ms(500)));
        ewma.observe(ms(10), start + DECAY);
        // 10 + 490 / e.
        assert!(is_near(ewma.cost(start + DECAY, 0), ms(190)), "{}", ewma.cost(start + DECAY, 0));
    }

    #[test]
    fn work_under_way_makes_it_dearer_and_time_cheaper() {
        let start = Instant::now();
        let ewma = PeakEwma::new(DECAY, ms(30));
        ewma.observe(ms(100), start);
        assert!(is_near(ewma.cost(start, 3), ms(400)));
        let later = start + DECAY * 8;
        assert!(ewma.cost(later, 0) < ms(1).as_nanos() as f64);
        assert!(ewma.cost(later, 1) > ms(50).as_nanos() as f64, "a member that hangs does not look fast");
    }

    #[test]
    fn a_failure_costs_what_the_member_asked_for() {
        let now = Instant::now();
        let ewma = PeakEwma::new(DECAY, ms(30));
        ewma.observe_failure(ms(5000), None, now);
        assert_eq!(ewma.estimate(), ms(5000));
        ewma.observe_failure(ms(5000), Some(ms(20_000)), now);
        assert_eq!(ewma.estimate(), ms(20_000));
        ewma.observe_failure(ms(5000), Some(Duration::MAX), now);
        assert_eq!(ewma.estimate(), MAX_RETRY_AFTER);
    }

    proptest! {
        #[test]
        fn it_stays_between_the_fastest_and_the_slowest(
            steps in prop::collection::vec((0_u64..1 << 40, 0_u64..100_000), 1..50), decay in 0_u64..1 << 50,
        ) {
            let ewma = PeakEwma::new(Duration::from_nanos(decay), Duration::from_nanos(steps[0].0));
            let mut now = Instant::now();
            for &(rtt, millis) in &steps {
                now += ms(millis);
                ewma.observe(Duration::from_nanos(rtt), now);
                prop_assert!(ewma.cost(now, 0) >= rtt as f64 * 0.999_999);
            }
            let slowest = steps.iter().map(|s| s.0).max().unwrap_or(0);
            let cost = ewma.cost(now, 0);
            prop_assert!(cost <= slowest as f64 * 1.000_001 && cost.is_finite());
        }
    }
}
