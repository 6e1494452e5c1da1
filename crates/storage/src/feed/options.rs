//! The bounds of a feed.

use std::time::Duration;

/// The bounds of a store's feed.
#[derive(Debug, Clone)]
pub struct FeedOptions {
    /// How many changes the table keeps: at least so many, and at most an eighth more.
    pub kept_rows: u64,
    /// How old a change may become in the table. Older ones go when something is announced, and at most an eighth later.
    pub kept_for: Duration,
    /// How many changes are kept in memory, once for all feeds.
    pub recent: usize,
    /// The most changes in one batch.
    pub max_batch: usize,
    /// The most announcements in one transaction; one more is refused.
    pub max_announced: usize,
    /// PostgreSQL: how often the head is compared, so that a notification that was lost is only late.
    pub compare_every: Duration,
    /// PostgreSQL: the longest wait between two attempts to connect; the first is a fiftieth of it.
    pub max_backoff: Duration,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self {
            kept_rows: 100_000,
            kept_for: Duration::from_hours(24),
            recent: 4096,
            max_batch: 1024,
            max_announced: 10_000,
            compare_every: Duration::from_secs(1),
            max_backoff: Duration::from_secs(5),
        }
    }
}

impl FeedOptions {
    /// After how many revisions the table is trimmed.
    pub(crate) fn trim_step(&self) -> u64 {
        (self.kept_rows / 8).max(1)
    }
}
