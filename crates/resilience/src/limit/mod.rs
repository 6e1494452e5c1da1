//! How much is let in: requests at once, and requests over time.

mod concurrency;
mod keyed;
mod rate;
mod shared;

use std::time::Duration;

pub use concurrency::{Adaptive, ConcurrencyLimit, ConcurrencyOptions, Full, Permit};
pub use keyed::{KeyedOptions, KeyedRateLimit};
pub use rate::{Quota, TokenBucket};
pub use shared::{BadReply, SharedRateLimit};

/// The request is within the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    /// Requests that may come at once when none came for a while.
    pub limit: u32,
    /// How many of them may still come now.
    pub remaining: u32,
    /// When all of them may come again.
    pub reset: Duration,
}

/// The request is over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("over the limit of {limit} requests")]
pub struct Limited {
    /// When the next one may come.
    pub retry_after: Duration,
    /// Requests that may come at once when none came for a while.
    pub limit: u32,
    /// When all of them may come again.
    pub reset: Duration,
}
