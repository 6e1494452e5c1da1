//! Sees that one piece of work does not hold the writer for ever, and counts commits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// There is one writer, so work that hangs would hang every other. Who brings the next write looks how long the present
/// one has run, and has it given up when that is too long. No timer is needed for it.
pub(super) struct Watch {
    limit: Duration,
    epoch: Instant,
    /// When the present work is to have ended, in milliseconds after the epoch. Never, while none runs.
    until: AtomicU64,
    give_up: Notify,
    commits: AtomicU64,
}

impl Watch {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            epoch: Instant::now(),
            until: AtomicU64::new(u64::MAX),
            give_up: Notify::new(),
            commits: AtomicU64::new(0),
        }
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    pub(super) fn begin(&self, until: Instant) {
        self.until.store(self.millis(until), Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.until.store(u64::MAX, Ordering::Release);
    }

    pub(super) fn check(&self, now: Instant) {
        if self.millis(now) > self.until.load(Ordering::Acquire) {
            // Wakes nobody, and is not remembered, when the work ended in this moment.
            self.give_up.notify_waiters();
        }
    }

    pub(super) async fn given_up(&self) {
        self.give_up.notified().await;
    }

    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    fn millis(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_millis() as u64
    }
}
