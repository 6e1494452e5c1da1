//! Faults on purpose, to see what becomes of them.

use std::time::Duration;

/// Which requests are delayed or refused. Shares are from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FaultPolicy {
    /// How long, and which share of requests.
    pub delay: Option<(Duration, f64)>,
    /// The status of the answer, and which share of requests.
    pub abort: Option<(u16, f64)>,
}

/// What is done to one request: the delay first, then the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fault {
    /// Wait this long.
    pub delay: Option<Duration>,
    /// Answer with this status instead of sending it on.
    pub abort: Option<u16>,
}

impl FaultPolicy {
    /// Decides about one request. `draws` are random, from 0 up to but not including 1: the first is for the delay, the
    /// second for the refusal.
    pub fn decide(&self, [delay, abort]: [f64; 2]) -> Fault {
        Fault {
            delay: self.delay.filter(|(_, share)| delay < *share).map(|(wait, _)| wait),
            abort: self.abort.filter(|(_, share)| abort < *share).map(|(status, _)| status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::{mix, unit};

    fn shares(delay: f64, abort: f64) -> [f64; 3] {
        let policy = FaultPolicy { delay: Some((Duration::from_secs(1), delay)), abort: Some((503, abort)) };
        let faults: Vec<_> = (0..20_000).map(|n| policy.decide([unit(mix(n)), unit(mix(!n))])).collect();
        let share = |test: fn(&Fault) -> bool| faults.iter().filter(|f| test(f)).count() as f64 / 20_000.0;
        [
            share(|f| f.delay.is_some()),
            share(|f| f.abort == Some(503)),
            share(|f| f.delay.is_some() && f.abort.is_some()),
        ]
    }

    #[test]
    fn shares_are_what_they_should_be() {
        for (delay, abort) in [(0.1, 0.3), (0.0, 1.0), (f64::NAN, -1.0), (7.0, 0.5)] {
            let expected = [delay, abort].map(|share: f64| if share > 0.0 { share.min(1.0) } else { 0.0 });
            let [delayed, aborted, both] = shares(delay, abort);
            assert!((delayed - expected[0]).abs() < 0.01 && (aborted - expected[1]).abs() < 0.01);
            assert!((both - expected[0] * expected[1]).abs() < 0.01);
        }
        assert_eq!(FaultPolicy::default().decide([0.0; 2]), Fault::default());
    }
}
