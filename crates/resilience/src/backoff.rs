//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential back-off with a cap and jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Longest wait before the first repeat.
    pub initial: Duration,
    /// Longest wait at all.
    pub max: Duration,
}

impl Backoff {
    /// The wait after `attempt` earlier waits (0 for the first): between half and the whole of `initial * 2^attempt`,
    /// which is never more than `max`. `random` is from 0 to 1; it spreads callers that failed together.
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let factor = 1_u32 << attempt.min(31);
        let whole = self.initial.checked_mul(factor).map_or(self.max, |grown| grown.min(self.max));
        let jitter = if random.is_finite() { random.clamp(0.0, 1.0) } else { 1.0 };
        let half = whole / 2;
        half + half.mul_f64(jitter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_doubles_up_to_the_cap() {
        let backoff = Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(1) };
        let waits: Vec<_> = (0..6).map(|attempt| backoff.delay(attempt, 1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.delay(0, 0.0), Duration::from_millis(50));
    }

    proptest! {
        #[test]
        fn it_stays_between_half_and_whole(initial in 0_u64..1 << 40, max in 0_u64..1 << 40, attempt: u32, random: f64) {
            let backoff = Backoff { initial: Duration::from_nanos(initial), max: Duration::from_nanos(max) };
            let wait = backoff.delay(attempt, random).as_nanos();
            let whole = (u128::from(initial) << attempt.min(64)).min(u128::from(max));
            prop_assert!(wait <= whole && wait + 1 >= whole / 2, "{wait} of {whole}");
        }
    }
}
