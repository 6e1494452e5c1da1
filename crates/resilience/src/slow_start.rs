//! Letting a member that has just started warm up: caches, compilers, connections.

use std::time::Duration;

/// How the share of a new member grows to its full weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowStart {
    /// How long it takes; zero is no slow start.
    pub window: Duration,
    /// Share of its weight that it has at least, from 0 to 1. With 0 it would never be tried.
    pub min: f64,
    /// How fast it grows early on: 1 is a straight line, 2 gives half the traffic after a quarter of the window, 0.5 a
    /// quarter after half of it.
    pub aggression: f64,
}

impl Default for SlowStart {
    fn default() -> Self {
        Self { window: Duration::ZERO, min: 0.1, aggression: 1.0 }
    }
}

impl SlowStart {
    /// Which part of its weight a member of this age has, from `min` to 1.
    pub fn warmth(&self, age: Duration) -> f64 {
        if age >= self.window {
            return 1.0;
        }
        let grown = (age.as_secs_f64() / self.window.as_secs_f64()).powf(1.0 / self.aggression);
        let warmth = grown.max(self.min);
        if warmth.is_nan() { 1.0 } else { warmth.clamp(0.0, 1.0) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn it_grows_as_told() {
        let line = SlowStart { window: seconds(100), min: 0.1, aggression: 1.0 };
        for (age, warmth) in [(0, 0.1), (5, 0.1), (50, 0.5), (100, 1.0), (200, 1.0)] {
            assert!((line.warmth(seconds(age)) - warmth).abs() < 1e-9, "{age}");
        }
        let eager = SlowStart { aggression: 2.0, ..line };
        assert!((eager.warmth(seconds(25)) - 0.5).abs() < 1e-9);
        let timid = SlowStart { aggression: 0.5, ..line };
        assert!((timid.warmth(seconds(50)) - 0.25).abs() < 1e-9);
        assert!(SlowStart::default().warmth(seconds(0)) >= 1.0);
    }

    fn any_f64() -> impl Strategy<Value = f64> {
        prop_oneof![any::<f64>(), 0.0..10.0, Just(f64::NAN)]
    }

    proptest! {
        #[test]
        fn it_only_grows_and_stays_in_its_range(window: u64, min in any_f64(), aggression in any_f64(), ages: [u64; 2]) {
            let start = SlowStart { window: Duration::from_millis(window), min, aggression };
            let warmths = ages.map(|age| start.warmth(Duration::from_millis(age)));
            prop_assert!(warmths.iter().all(|w| (0.0..=1.0).contains(w)), "{warmths:?}");
            if (0.01..100.0).contains(&aggression) {
                let [young, old] = if ages[0] <= ages[1] { warmths } else { [warmths[1], warmths[0]] };
                prop_assert!(young <= old);
            }
        }
    }
}
