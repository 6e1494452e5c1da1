//! What happened, as it is written down while it happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use trellis_testkit::{Hold, LockHistory, Write};

/// What the clients saw.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Sessions that began.
    pub sessions: u64,
    /// Locks that were given.
    pub grants: u64,
    /// Times that a lock was somebody else's, or could not be had yet.
    pub refusals: u64,
    /// Renewals that were acknowledged.
    pub renewals: u64,
    /// Requests without an answer, or with an error: nobody knows what became of them.
    pub unanswered: u64,
    /// Holders that vanished without a word.
    pub vanished: u64,
    /// Holders that ended their session instead of giving the lock back.
    pub destroyed: u64,
    /// Looks at a lock from another node, by its holder.
    pub looks: u64,
    /// Writes under the token of a lock that was held.
    pub writes: u64,
    /// Writes under an old token that the fence refused.
    pub fenced: u64,
}

/// Everything, shared by all.
pub(super) struct Story {
    start: Instant,
    over: AtomicBool,
    told: Mutex<Told>,
}

struct Told {
    locks: Vec<Fenced>,
    counts: Counts,
    last_grant: Duration,
    longest_gap: Duration,
    violations: Vec<String>,
}

/// What a lock guards: something that takes no write under a smaller token than one that it has seen.
#[derive(Default)]
struct Fenced {
    largest: u64,
    history: LockHistory,
}

/// The story when it is over.
pub(super) struct Ending {
    pub(super) counts: Counts,
    pub(super) longest_gap: Duration,
    pub(super) violations: Vec<String>,
}

impl Story {
    pub(super) fn new(locks: usize) -> Self {
        let told = Told {
            locks: std::iter::repeat_with(Fenced::default).take(locks).collect(),
            counts: Counts::default(),
            last_grant: Duration::ZERO,
            longest_gap: Duration::ZERO,
            violations: Vec::new(),
        };
        Self { start: Instant::now(), over: AtomicBool::new(false), told: Mutex::new(told) }
    }

    pub(super) fn locks(&self) -> usize {
        self.told().locks.len()
    }

    /// The time by the clock of this story.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn count(&self, what: impl FnOnce(&mut Counts)) {
        what(&mut self.told().counts);
    }

    pub(super) fn grants(&self) -> u64 {
        self.told().counts.grants
    }

    /// A lock was given, now.
    pub(super) fn granted(&self) {
        let now = self.now();
        let mut told = self.told();
        told.counts.grants += 1;
        told.longest_gap = told.longest_gap.max(now.saturating_sub(told.last_grant));
        told.last_grant = told.last_grant.max(now);
    }

    /// A hold is over, or its client knows no more of it.
    pub(super) fn held(&self, lock: usize, hold: Hold) {
        self.told().locks[lock].history.holds.push(hold);
    }

    /// Writes to what the lock guards; whether it was taken.
    pub(super) fn write(&self, lock: usize, token: u64) -> bool {
        let mut told = self.told();
        // By the clock within the lock, so that what comes first is earlier.
        let at = self.now();
        let fenced = &mut told.locks[lock];
        let taken = token >= fenced.largest;
        fenced.largest = fenced.largest.max(token);
        fenced.history.writes.push(Write { token, at, taken });
        taken
    }

    /// Something that cannot be true.
    pub(super) fn violated(&self, what: String) {
        self.told().violations.push(what);
    }

    pub(super) fn goes_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Everything, judged.
    pub(super) fn tell(&self) -> Ending {
        let mut told = self.told();
        let mut violations = std::mem::take(&mut told.violations);
        for (lock, fenced) in told.locks.iter().enumerate() {
            let found = fenced.history.violations().into_iter();
            violations.extend(found.map(|violation| format!("lock {lock}: {violation}")));
        }
        Ending { counts: told.counts.clone(), longest_gap: told.longest_gap, violations }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_that_cannot_be_true_is_told_with_its_lock() {
        let story = Story::new(2);
        let at = Duration::from_secs;
        for (session, granted) in [("a", 1), ("b", 2)] {
            let token = granted;
            let (granted, until) = (at(granted), at(9));
            story.held(1, Hold { session: session.into(), token, asked: granted, granted, until });
        }
        assert!(story.write(0, 7) && !story.write(0, 6) && story.write(1, 1), "each has a fence of its own");
        let violations = story.tell().violations;
        assert!(violations.len() == 1 && violations[0].starts_with("lock 1: held twice"), "{violations:?}");
    }
}
