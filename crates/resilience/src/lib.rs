//! Policies that decide, and do nothing else: balancing, circuit breaking, outlier ejection, limits, retries, deadlines.
//!
//! Time and randomness are parameters, so every decision can be tested and replayed. State that callers share sits
//! behind `&self`.

pub mod backoff;
pub mod balance;
pub mod breaker;
pub mod budget;
pub mod deadline;
mod dice;
mod epoch;
pub mod ewma;
pub mod fault;
pub mod limit;
mod model;
pub mod outlier;
pub mod probe;
pub mod retry;
pub mod slow_start;
pub mod split;

pub use backoff::Backoff;
pub use balance::{Balancer, BalancerOptions, Loads, Policy, Slot};
pub use breaker::{Admission, Breaker, BreakerOptions, Open, Outcome, State, Window};
pub use budget::{RetryBudget, RetryBudgetOptions};
pub use deadline::Deadline;
pub use ewma::PeakEwma;
pub use fault::{Fault, FaultPolicy};
pub use limit::{ConcurrencyLimit, ConcurrencyOptions, KeyedRateLimit, Quota, SharedRateLimit, TokenBucket};
pub use outlier::{OutlierOptions, Outliers};
pub use probe::Hysteresis;
pub use retry::{Attempt, Decision, RetryOn, RetryPolicy};
pub use slow_start::SlowStart;
pub use split::Split;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks even after another thread panicked: none of the guarded states is ever half written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
