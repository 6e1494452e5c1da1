//! What happened, as it is written down while it happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use trellis_testkit::{Absence, Ended, Hold, Life, LockHistory, SessionHistory, Write};

/// No absence that is shorter is noticed: a lease of six seconds is renewed every two.
const UNNOTICED: Duration = Duration::from_secs(3);
/// So long after an absence somebody may still end sessions for it: it has to hear of it, and tries again if that fails.
const SETTLES: Duration = Duration::from_secs(5);
/// Changes reach those who are not cut off well within this time.
const LAG: Duration = Duration::from_secs(1);

/// What the clients saw.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Sessions that began.
    pub sessions: u64,
    /// Those of them without a time to live.
    pub untimed: u64,
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
    sessions: SessionHistory,
    counts: Counts,
    last_grant: Duration,
    longest_gap: Duration,
}

/// What a lock guards: something that takes no write under a smaller token than one that it has seen.
#[derive(Default)]
struct Fenced {
    largest: u64,
    holds: Vec<Held>,
    writes: Vec<Write>,
}

/// A hold that is over, or whose client knows no more of it.
pub(super) struct Held {
    /// It lasts until its client ended it, at most.
    pub(super) hold: Hold,
    /// The session's, as last known.
    pub(super) life: Life,
    /// How long after the session's end nobody else may have it.
    pub(super) lock_delay: Duration,
}

/// The story when it is over.
pub(super) struct Ending {
    pub(super) counts: Counts,
    pub(super) ended_with_nodes: usize,
    pub(super) longest_gap: Duration,
    pub(super) violations: Vec<String>,
}

impl Held {
    /// It ends with its session and the lock delay, too.
    fn judged(self, sessions: &SessionHistory) -> Hold {
        let life = sessions.lasts(&self.life).saturating_add(self.lock_delay);
        Hold { until: self.hold.until.min(life), ..self.hold }
    }
}

impl Story {
    pub(super) fn new(locks: usize) -> Self {
        let told = Told {
            locks: std::iter::repeat_with(Fenced::default).take(locks).collect(),
            sessions: SessionHistory {
                unnoticed: UNNOTICED,
                settles: SETTLES,
                lag: LAG,
                ..SessionHistory::default()
            },
            counts: Counts::default(),
            last_grant: Duration::ZERO,
            longest_gap: Duration::ZERO,
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
    pub(super) fn held(&self, lock: usize, held: Held) {
        self.told().locks[lock].holds.push(held);
    }

    /// Somebody was told, now, that a session is over.
    pub(super) fn ended(&self, session: &str, life: &Life, what: impl Into<String>) {
        let (told, life) = (self.now(), life.clone());
        self.told().sessions.ended.push(Ended { session: session.to_owned(), what: what.into(), life, told });
    }

    /// A node is about to be taken away.
    pub(super) fn goes_away(&self, node: &str) {
        let absence = Absence { node: node.to_owned(), from: self.now(), until: None };
        self.told().sessions.absences.push(absence);
    }

    /// It is back.
    pub(super) fn comes_back(&self, node: &str) {
        let now = self.now();
        let mut told = self.told();
        let away = told.sessions.absences.iter_mut().filter(|absence| absence.node == node);
        away.for_each(|absence| absence.until = absence.until.or(Some(now)));
    }

    /// Writes to what the lock guards; whether it was taken.
    pub(super) fn write(&self, lock: usize, token: u64) -> bool {
        let mut told = self.told();
        // By the clock within the lock, so that what comes first is earlier.
        let at = self.now();
        let fenced = &mut told.locks[lock];
        let taken = token >= fenced.largest;
        fenced.largest = fenced.largest.max(token);
        fenced.writes.push(Write { token, at, taken });
        taken
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
        let Told { locks, sessions, .. } = &mut *told;
        let mut violations = sessions.violations();
        for (lock, fenced) in std::mem::take(locks).into_iter().enumerate() {
            let holds = fenced.holds.into_iter().map(|held| held.judged(sessions)).collect();
            let found = LockHistory { holds, writes: fenced.writes }.violations().into_iter();
            violations.extend(found.map(|violation| format!("lock {lock}: {violation}")));
        }
        Ending {
            counts: told.counts.clone(),
            ended_with_nodes: told.sessions.ended_with_nodes(),
            longest_gap: told.longest_gap,
            violations,
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use trellis_testkit::Bond;

    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Held from this second on until its session ends, and two more.
    fn held(session: &str, granted: u64, bond: Bond) -> Held {
        let (token, granted) = (granted, at(granted));
        Held {
            hold: Hold { session: session.into(), token, asked: granted, granted, until: Duration::MAX },
            life: Life { since: granted, bond },
            lock_delay: at(2),
        }
    }

    /// Both fight for one lock, and node `a` is away from the seventh second on.
    fn violations(first: Held, second: Held) -> Vec<String> {
        let story = Story::new(2);
        story.told().sessions.absences.push(Absence { node: "a".into(), from: at(7), until: None });
        story.held(1, first);
        story.held(1, second);
        assert!(story.write(0, 7) && !story.write(0, 6) && story.write(1, 1), "each has a fence of its own");
        story.tell().violations
    }

    #[test]
    fn a_lock_is_held_as_long_as_its_session_and_the_delay_last() {
        let second = |granted| held("b", granted, Bond::Time(at(10)));
        for (first, free) in [(Bond::Time(at(4)), 7), (Bond::Node("a".into()), 9)] {
            let found = violations(held("a", 1, first.clone()), second(free - 1));
            assert!(found.len() == 1 && found[0].starts_with("lock 1: held twice"), "{found:?}");
            assert_eq!(violations(held("a", 1, first), second(free)), [""; 0]);
        }
        for first in [Bond::Node("b".into()), Bond::Nothing] {
            let found = violations(held("a", 1, first), second(1_000_000));
            assert!(found.len() == 1 && found[0].starts_with("lock 1: held twice"), "{found:?}");
        }
    }

    #[test]
    fn a_lock_that_was_given_back_is_free_at_once() {
        let mut first = held("a", 1, Bond::Nothing);
        first.hold.until = at(3);
        assert_eq!(violations(first, held("b", 3, Bond::Nothing)), [""; 0]);
    }

    #[test]
    fn sessions_are_judged_by_what_became_of_their_nodes() {
        let story = Story::new(1);
        let life = |node: &str| Life { since: story.now(), bond: Bond::Node(node.into()) };
        let (a, b) = (life("a"), life("b"));
        story.ended("one", &a, "too early");
        story.goes_away("a");
        story.ended("two", &a, "with its node");
        story.ended("three", &b, "another node went");
        let told = story.tell();
        assert_eq!((told.ended_with_nodes, told.violations.len()), (1, 2), "{:?}", told.violations);
        assert!(told.violations[0].contains("too early") && told.violations[1].contains("another node"));
        story.comes_back("a");
        story.goes_away("a");
        let away = |absence: &Absence| absence.until.is_none();
        assert_eq!(story.told().sessions.absences.iter().map(away).collect::<Vec<_>>(), [false, true]);
    }
}
