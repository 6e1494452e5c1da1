//! How many repeats a service can bear: a share of its requests, so that retries never multiply an outage.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock;

/// How fast a [`RetryBudget`] fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryBudgetOptions {
    /// Retries earned by one request: 0.2 is one retry for five requests.
    pub ratio: f64,
    /// Retries earned each second without any request, so that a quiet service may retry as well.
    pub min_per_second: f64,
    /// Most retries that can be saved up.
    pub burst: f64,
}

/// A bucket of retries.
#[derive(Debug)]
pub struct RetryBudget {
    options: RetryBudgetOptions,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    /// When time last filled it; set by the first use.
    filled: Option<Instant>,
}

impl Default for RetryBudgetOptions {
    fn default() -> Self {
        Self { ratio: 0.2, min_per_second: 10.0, burst: 100.0 }
    }
}

impl RetryBudget {
    /// A budget that starts with one second's worth of retries.
    pub fn new(options: RetryBudgetOptions) -> Self {
        let tokens = options.min_per_second.min(options.burst);
        Self { options, bucket: Mutex::new(Bucket { tokens, filled: None }) }
    }

    /// Counts requests (not retries).
    pub fn deposit(&self, requests: u32, now: Instant) {
        let mut bucket = lock(&self.bucket);
        self.fill(&mut bucket, now);
        let earned = self.options.ratio * f64::from(requests);
        bucket.tokens = (bucket.tokens + earned).min(self.options.burst);
    }

    /// Takes one retry if there is one.
    pub fn withdraw(&self, now: Instant) -> bool {
        let mut bucket = lock(&self.bucket);
        self.fill(&mut bucket, now);
        let enough = bucket.tokens >= 1.0;
        if enough {
            bucket.tokens -= 1.0;
        }
        enough
    }

    fn fill(&self, bucket: &mut Bucket, now: Instant) {
        let elapsed = bucket.filled.map_or(Duration::ZERO, |then| now.saturating_duration_since(then));
        // Callers read the clock before they take the lock, so `now` may lie in the past: never move back.
        bucket.filled = Some(bucket.filled.map_or(now, |then| then.max(now)));
        let earned = elapsed.as_secs_f64() * self.options.min_per_second;
        bucket.tokens = (bucket.tokens + earned).min(self.options.burst);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(budget: &RetryBudget, now: Instant) -> usize {
        (0..10_000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn five_requests_earn_one_retry() {
        let now = Instant::now();
        let budget = RetryBudget::new(RetryBudgetOptions { min_per_second: 0.0, ..Default::default() });
        assert!(!budget.withdraw(now));
        (0..50).for_each(|_| budget.deposit(1, now));
        // Fifty times a fifth, less what binary fractions lose.
        assert!((9..=10).contains(&drain(&budget, now)));
    }

    #[test]
    fn time_earns_retries_up_to_the_burst() {
        let now = Instant::now();
        let budget = RetryBudget::new(RetryBudgetOptions::default());
        assert_eq!(drain(&budget, now), 10);
        assert_eq!(drain(&budget, now + Duration::from_secs(2)), 20);
        assert_eq!(drain(&budget, now + Duration::from_hours(1)), 100);
        assert_eq!(drain(&budget, now), 0, "a clock that was read earlier earns nothing");
    }

    proptest! {
        #[test]
        fn retries_never_exceed_what_was_earned(steps in prop::collection::vec((any::<bool>(), 0_u64..500), 1..400)) {
            let options = RetryBudgetOptions::default();
            let budget = RetryBudget::new(options);
            let start = Instant::now();
            let (mut now, mut requests, mut retries) = (start, 0_u32, 0_u32);
            for (is_request, millis) in steps {
                now += Duration::from_millis(millis);
                if is_request {
                    budget.deposit(1, now);
                    requests += 1;
                } else if budget.withdraw(now) {
                    retries += 1;
                }
            }
            let earned = options.min_per_second * (1.0 + (now - start).as_secs_f64()) + options.ratio * f64::from(requests);
            prop_assert!(f64::from(retries) <= earned + 1e-6);
        }
    }
}
