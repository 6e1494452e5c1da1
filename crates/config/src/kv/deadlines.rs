//! When sessions end if nobody renews them. Pure: the time comes from outside. Nothing of it is on disk.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;
use trellis_storage::members::Term;

use super::session::SessionId;

/// The time of the sessions that this node counts.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    by_id: HashMap<SessionId, Deadline>,
    by_time: BTreeSet<(Instant, SessionId)>,
    /// The term in which it is known who counts what.
    sure_of: Option<Term>,
}

#[derive(Debug, Clone, Copy)]
struct Deadline {
    ttl: Duration,
    end: Instant,
    /// It was decided that it ends. Only the database knows whether that was written.
    ends: bool,
}

impl Deadlines {
    /// Starts a session's time, or starts it again. It ends between once and twice the time to live later, so that a
    /// renewal that is a little late still counts.
    pub(crate) fn start(&mut self, id: SessionId, ttl: Duration, now: Instant) {
        self.put(id, ttl, now, false);
    }

    fn put(&mut self, id: SessionId, ttl: Duration, now: Instant, ends: bool) {
        self.stop(id);
        let end = now + ttl + ttl * 3 / 4;
        self.by_id.insert(id, Deadline { ttl, end, ends });
        self.by_time.insert((end, id));
    }

    /// Starts it again; false if it is not counted here, or if it was decided that it ends.
    pub(crate) fn renew(&mut self, id: SessionId, now: Instant) -> bool {
        let Some(Deadline { ttl, ends: false, .. }) = self.by_id.get(&id).copied() else { return false };
        self.start(id, ttl, now);
        true
    }

    /// Starts it again, if it is counted here: the database says that it is there, whatever was decided before.
    pub(crate) fn renew_found(&mut self, id: SessionId, now: Instant) {
        if let Some(Deadline { ttl, .. }) = self.by_id.get(&id).copied() {
            self.start(id, ttl, now);
        }
    }

    /// Whether its time is over. If so, it is not renewed any more unless the database says that it is still there:
    /// that it ends may fail to be written, or may be written without a word.
    pub(crate) fn end_if_due(&mut self, id: SessionId, now: Instant) -> bool {
        let due = self.by_id.get_mut(&id).filter(|deadline| deadline.end <= now);
        due.map(|deadline| deadline.ends = true).is_some()
    }

    /// Starts the time of all again: for a while nobody could renew them.
    fn restart(&mut self, now: Instant) {
        let all: Vec<_> = self.by_id.iter().map(|(id, deadline)| (*id, *deadline)).collect();
        for (id, Deadline { ttl, ends, .. }) in all {
            self.put(id, ttl, now, ends);
        }
    }

    /// In this term nobody else counts what is counted here. If this node was no member before, all time begins anew.
    pub(crate) fn be_sure_of(&mut self, term: Term, now: Instant) {
        if self.sure_of.is_some_and(|before| before.stay != term.stay) {
            self.restart(now);
        }
        self.sure_of = Some(term);
    }

    pub(crate) fn is_sure_of(&self, term: Term) -> bool {
        self.sure_of == Some(term)
    }

    /// Counts it no longer.
    pub(crate) fn stop(&mut self, id: SessionId) {
        if let Some(Deadline { end, .. }) = self.by_id.remove(&id) {
            self.by_time.remove(&(end, id));
        }
    }

    pub(crate) fn contains(&self, id: SessionId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// How many are counted.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// When the first of them ends.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(end, _)| *end)
    }

    /// Up to `most` whose time is over. They stay until they are stopped or renewed.
    pub(crate) fn due(&self, now: Instant, most: usize) -> Vec<SessionId> {
        self.by_time.iter().take_while(|(end, _)| *end <= now).take(most).map(|(_, id)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    #[test]
    fn a_session_ends_between_once_and_twice_its_time() {
        let (mut deadlines, id, start) = (Deadlines::default(), Uuid::from_u128(1), Instant::now());
        deadlines.start(id, TTL, start);
        assert!(deadlines.due(start + TTL, 9).is_empty() && !deadlines.end_if_due(id, start + TTL));
        assert_eq!(deadlines.due(start + 2 * TTL, 9), [id]);
        assert!(deadlines.renew(id, start + TTL));
        assert!(deadlines.due(start + 2 * TTL, 9).is_empty(), "renewed");
        assert_eq!(deadlines.due(start + 3 * TTL, 9), [id]);
        deadlines.stop(id);
        assert!(deadlines.next().is_none() && !deadlines.renew(id, start) && !deadlines.contains(id));
    }

    #[test]
    fn who_was_told_to_end_is_renewed_only_by_who_knows_that_it_is_there() {
        let (mut deadlines, id, start) = (Deadlines::default(), Uuid::from_u128(1), Instant::now());
        deadlines.start(id, TTL, start);
        let late = start + 2 * TTL;
        assert!(deadlines.end_if_due(id, late) && !deadlines.renew(id, late));
        assert!(deadlines.end_if_due(id, late), "it may be tried again");
        deadlines.restart(late);
        assert!(!deadlines.renew(id, late), "whoever was away does not know");
        deadlines.renew_found(id, late);
        assert!(!deadlines.end_if_due(id, late + TTL) && deadlines.renew(id, late + TTL));
    }

    #[test]
    fn time_begins_anew_after_an_absence_and_not_when_others_come_and_go() {
        let (mut deadlines, id, start) = (Deadlines::default(), Uuid::from_u128(1), Instant::now());
        let term = |epoch, stay| Term { epoch, stay };
        deadlines.be_sure_of(term(1, 0), start);
        deadlines.start(id, TTL, start);
        let later = start + TTL;
        deadlines.be_sure_of(term(2, 0), later);
        assert!(deadlines.is_sure_of(term(2, 0)) && !deadlines.is_sure_of(term(2, 1)));
        assert_eq!(deadlines.due(start + 2 * TTL, 9), [id]);
        deadlines.be_sure_of(term(2, 1), later);
        assert!(deadlines.due(later + TTL, 9).is_empty(), "begun anew");
        assert_eq!(deadlines.due(later + 2 * TTL, 9), [id]);
    }
}
