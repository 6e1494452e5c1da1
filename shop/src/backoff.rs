//! How long to wait before the next try.

use std::time::Duration;

/// Doubles with each try up to a limit, and spreads those who failed together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// Wait after the first failure.
    pub(crate) first: Duration,
    /// Longest wait.
    pub(crate) most: Duration,
}

impl Backoff {
    /// The wait after the failed try number `tries` (from 1); `random` in 0..1 puts it between half and the whole.
    pub(crate) fn wait(&self, tries: u32, random: f64) -> Duration {
        let doubled = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
        let whole = self.first.saturating_mul(doubled).min(self.most);
        whole.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_limit() {
        let backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };
        let whole: Vec<_> = (1..=6).map(|tries| backoff.wait(tries, 1.0).as_millis()).collect();
        assert_eq!(whole, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.wait(1, 0.0).as_millis(), 50);
        assert_eq!(backoff.wait(u32::MAX, 1.0).as_millis(), 1000);
    }
}
