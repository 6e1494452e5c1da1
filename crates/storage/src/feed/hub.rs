//! The last changes, kept once for all feeds of a store.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OnceCell, watch};
use tokio::time::Instant;

use super::{Change, FeedOptions, FeedState, Page};

/// Where all feeds of a store get their news.
pub(crate) struct Hub {
    pub(crate) options: FeedOptions,
    inner: Mutex<Inner>,
    mark: watch::Sender<Mark>,
    /// The tables are there and the head was read.
    pub(crate) prepared: OnceCell<()>,
    /// Somebody has to look into the table.
    pub(crate) look: Notify,
}

struct Inner {
    /// The last of them is the head, and each is one after the one before.
    recent: VecDeque<Change>,
    state: FeedState,
    trimmed: Option<std::time::Instant>,
}

/// What feeds wait on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The newest revision that is known here.
    pub(crate) head: u64,
    /// How often the database was found set back.
    pub(crate) rewinds: u64,
    pub(crate) closed: bool,
}

/// What to do with changes that do not follow the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// Take them; feeds read from the table what is between.
    Jump,
    /// Leave them; somebody looks into the table.
    Look,
}

/// What there is after a revision.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recent {
    Changes(Vec<Change>),
    /// Nothing yet, or the revision is not known here yet.
    Nothing,
    /// More than is kept in memory.
    Behind,
}

impl Hub {
    pub(crate) fn new(options: FeedOptions) -> Self {
        let inner = Inner { recent: VecDeque::new(), state: FeedState::new(), trimmed: None };
        Self {
            options,
            inner: Mutex::new(inner),
            mark: watch::Sender::new(Mark { head: 0, rewinds: 0, closed: false }),
            prepared: OnceCell::new(),
            look: Notify::new(),
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        *self.mark.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Mark> {
        self.mark.subscribe()
    }

    /// The head as the table has it, which is further than what is known.
    pub(crate) fn begin_at(&self, head: u64) {
        let mut inner = self.inner();
        if head > self.mark().head {
            inner.recent.clear();
            self.mark.send_modify(|mark| mark.head = head);
        }
    }

    /// Committed changes, each one after the one before. What is known already is left out.
    pub(crate) fn offer(&self, changes: &[Change], gap: Gap) {
        // All that change the head hold this lock.
        let mut inner = self.inner();
        let head = self.mark().head;
        let fresh = changes.partition_point(|change| change.revision <= head);
        let fresh = &changes[fresh..];
        let (Some(first), Some(last)) = (fresh.first(), fresh.last()) else { return };
        if first.revision != head + 1 {
            if gap == Gap::Look {
                self.look.notify_one();
                return;
            }
            inner.recent.clear();
        }
        inner.recent.extend(fresh.iter().cloned());
        let excess = inner.recent.len().saturating_sub(self.options.recent.max(1));
        drop(inner.recent.drain(..excess));
        self.mark.send_modify(|mark| mark.head = last.revision);
    }

    /// A page of the table, read while the head was `before`. Whether more may follow.
    pub(crate) fn take_page(&self, before: u64, page: &Page, limit: usize) -> bool {
        if page.head < before {
            self.rewind(page.head);
            return false;
        }
        if page.changes.is_empty() {
            self.begin_at(page.head);
        }
        self.offer(&page.changes, Gap::Jump);
        page.changes.len() >= limit
    }

    /// The head of the table, which is at least as far as what is known unless the database was set back.
    pub(crate) fn check_base(&self, head: u64) {
        if head < self.mark().head {
            self.rewind(head);
        }
    }

    fn rewind(&self, head: u64) {
        // What was committed is gone: a backup was restored, or a copy took over that had not got everything.
        tracing::error!(head, "the database was set back to an earlier state; everything is read anew");
        let mut inner = self.inner();
        inner.recent.clear();
        self.mark.send_modify(|mark| {
            mark.head = head;
            mark.rewinds += 1;
        });
    }

    /// What there is after this revision, at most a batch.
    pub(crate) fn after(&self, from: u64) -> Recent {
        let inner = self.inner();
        let head = self.mark().head;
        if from >= head {
            return Recent::Nothing;
        }
        match inner.recent.front() {
            Some(first) if first.revision <= from + 1 => {
                let skip = (from + 1 - first.revision) as usize;
                let batch = inner.recent.iter().skip(skip).take(self.options.max_batch.max(1));
                Recent::Changes(batch.cloned().collect())
            }
            _ => Recent::Behind,
        }
    }

    /// Whether the table is to be trimmed, now that the head goes from the one to the other.
    pub(crate) fn trim_is_due(&self, base: u64, head: u64, now: std::time::Instant) -> bool {
        let mut inner = self.inner();
        let step = self.options.trim_step();
        let long_ago = inner.trimmed.is_none_or(|at| now.duration_since(at) >= self.options.kept_for / 8);
        let due = long_ago || base / step != head / step;
        if due {
            inner.trimmed = Some(now);
        }
        due
    }

    pub(crate) fn connected(&self, connected: bool) {
        let state = &mut self.inner().state;
        if state.connected != connected {
            state.losses += u64::from(!connected);
            state.connected = connected;
            state.since = Instant::now();
        }
    }

    pub(crate) fn count_lagged(&self) {
        self.inner().state.lagged += 1;
    }

    pub(crate) fn count_resync(&self) {
        self.inner().state.resyncs += 1;
    }

    pub(crate) fn state(&self) -> FeedState {
        self.inner().state
    }

    pub(crate) fn close(&self) {
        self.mark.send_modify(|mark| mark.closed = true);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
