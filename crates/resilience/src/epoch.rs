//! Moments as numbers, which fit into one atomic.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The first moment that was seen; later ones are nanoseconds since then.
#[derive(Debug, Default)]
pub(crate) struct Epoch(OnceLock<Instant>);

impl Epoch {
    /// Nanoseconds since the first call. A clock that was read earlier counts as the first moment; five centuries on, the
    /// last number is reached.
    pub(crate) fn nanos(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(*self.0.get_or_init(|| now)))
    }
}

/// Its nanoseconds, as many as fit.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
