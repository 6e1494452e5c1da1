//! The wall clock, as something that is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the date. For time that is measured use `tokio::time::Instant`, which tests can pause.
#[derive(Debug, Clone)]
pub struct WallClock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Fixed(Arc<AtomicI64>),
}

impl WallClock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is [`set`](Self::set).
    pub fn fixed(unix_millis: i64) -> Self {
        Self(Source::Fixed(Arc::new(AtomicI64::new(unix_millis))))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn unix_millis(&self) -> i64 {
        match &self.0 {
            Source::System => system_millis(),
            Source::Fixed(millis) => millis.load(Ordering::Relaxed),
        }
    }

    /// The same as a point in time; what is before 1970 is 1970.
    pub fn now(&self) -> SystemTime {
        let since = Duration::from_millis(u64::try_from(self.unix_millis()).unwrap_or_default());
        // Only a fixed clock can be beyond what the machine can tell.
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    }

    /// Moves a fixed clock; the machine's is not ours to set.
    pub fn set(&self, unix_millis: i64) {
        if let Source::Fixed(millis) = &self.0 {
            millis.store(unix_millis, Ordering::Relaxed);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the place where the time comes in")]
fn system_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
