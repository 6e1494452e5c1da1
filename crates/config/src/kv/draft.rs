//! What a change looks at, and what it makes of that. Pure: time comes in as whether a delay still runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::ops::{Refused, TxnOp, TxnOpError};
use super::session::{Behavior, Session, SessionId};
use super::tokens::{Delay, Slot};
use super::{Entry, TxnDone};
use crate::journal::Step;

/// The part of the state that a change looks at. What is not in it is not there; whoever makes one puts in everything
/// that the change may touch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    /// The revision that the change will have.
    pub(crate) index: u64,
    /// Deletions up to this revision may be forgotten, and how often those keys had been locked with them.
    pub(crate) floor: u64,
    pub(crate) slots: BTreeMap<Arc<str>, Slot>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// Delays that are written down, and whether each still runs.
    pub(crate) delays: BTreeMap<Arc<str>, bool>,
    changed: BTreeSet<Arc<str>>,
    ended: BTreeSet<SessionId>,
    begun: BTreeSet<SessionId>,
    delayed: BTreeMap<Arc<str>, Option<Delay>>,
}

type Applied = Result<Vec<Entry>, Refused>;

impl Draft {
    /// An empty one, whose change will have this revision.
    pub(crate) fn at(index: u64) -> Self {
        Self { index, ..Self::default() }
    }

    /// The state that this one has led to, for a change of another revision.
    #[cfg(test)]
    pub(crate) fn clone_at(&self, index: u64) -> Self {
        let (slots, sessions) = (self.slots.clone(), self.sessions.clone());
        Self { slots, sessions, floor: self.floor, delays: self.delays.clone(), ..Self::at(index) }
    }

    /// Applies all operations, or none: on errors the draft is to be thrown away.
    pub(crate) fn run(&mut self, ops: &[TxnOp]) -> Result<TxnDone, Vec<TxnOpError>> {
        let mut results = Vec::with_capacity(ops.len());
        let mut errors = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            match self.apply(op) {
                Ok(entries) => results.push(entries),
                Err(refused) => errors.push(TxnOpError { index, refused }),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(TxnDone { index: self.is_changed().then_some(self.index), results })
    }

    fn apply(&mut self, op: &TxnOp) -> Applied {
        match op {
            TxnOp::Set { key, value, flags } => Ok(self.set(key, value, *flags)),
            TxnOp::Cas { key, value, flags, index } => {
                match self.entry(key) {
                    None if *index == 0 => {}
                    Some(entry) if *index != 0 && entry.modify_index == *index => {}
                    None => return Err(Refused::Stale { key: key.clone(), current: 0 }),
                    Some(entry) => {
                        return Err(Refused::Stale { key: key.clone(), current: entry.modify_index });
                    }
                }
                Ok(self.set(key, value, *flags))
            }
            TxnOp::Lock { key, value, flags, session } => self.lock(key, value, *flags, *session),
            TxnOp::Unlock { key, value, flags, session } => {
                if self.entry(key).is_none_or(|entry| entry.session != Some(*session)) {
                    return Err(Refused::NotHeld { key: key.clone() });
                }
                let locks = self.locks(key);
                Ok(self.write(key, value, *flags, locks, None))
            }
            TxnOp::Get { key } => self.require(key).map(|entry| vec![entry.clone()]),
            TxnOp::GetOrEmpty { key } => {
                let empty = || Entry {
                    key: key.clone(),
                    value: Bytes::new(),
                    flags: 0,
                    create_index: 0,
                    modify_index: 0,
                    lock_index: 0,
                    session: None,
                };
                Ok(vec![self.entry(key).cloned().unwrap_or_else(empty)])
            }
            TxnOp::GetTree { prefix } => Ok(self.under(prefix).cloned().collect()),
            TxnOp::CheckIndex { key, index } => match self.require(key)? {
                entry if entry.modify_index == *index => Ok(vec![entry.clone()]),
                entry => Err(Refused::Stale { key: key.clone(), current: entry.modify_index }),
            },
            TxnOp::CheckSession { key, session } => match self.require(key)? {
                entry if entry.session == Some(*session) => Ok(vec![entry.clone()]),
                _ => Err(Refused::NotHeld { key: key.clone() }),
            },
            TxnOp::CheckNotExists { key } => match self.entry(key) {
                Some(_) => Err(Refused::Exists(key.clone())),
                None => Ok(Vec::new()),
            },
            TxnOp::Delete { key } => {
                self.delete(key);
                Ok(Vec::new())
            }
            TxnOp::DeleteTree { prefix } => {
                let keys: Vec<_> = self.under(prefix).map(|entry| entry.key.clone()).collect();
                for key in &keys {
                    self.delete(key);
                }
                Ok(Vec::new())
            }
            TxnOp::DeleteCas { key, index } => {
                match self.entry(key) {
                    Some(entry) if entry.modify_index != *index => {
                        return Err(Refused::Stale { key: key.clone(), current: entry.modify_index });
                    }
                    _ => self.delete(key),
                }
                Ok(Vec::new())
            }
        }
    }

    fn lock(&mut self, key: &Arc<str>, value: &Bytes, flags: u64, session: SessionId) -> Applied {
        if !self.sessions.contains_key(&session) {
            return Err(Refused::NoSession(session));
        }
        let locks = self.locks(key);
        match self.entry(key).and_then(|entry| entry.session) {
            Some(holder) if holder == session => Ok(self.write(key, value, flags, locks, Some(session))),
            Some(_) => Err(Refused::Held { key: key.clone() }),
            None => {
                match self.delays.get(key) {
                    Some(true) => return Err(Refused::Delayed { key: key.clone() }),
                    // It has had its effect; the row need not stay.
                    Some(false) => {
                        self.delays.remove(key);
                        self.delayed.insert(key.clone(), None);
                    }
                    None => {}
                }
                // A key that was never locked may have been, in an earlier life that is forgotten. A lock is counted up
                // by one with each of its revisions at most, so what is above the floor was never given.
                let last = if locks == 0 { self.floor } else { locks };
                Ok(self.write(key, value, flags, last + 1, Some(session)))
            }
        }
    }

    /// Writes whatever is there; a lock stays with its holder.
    fn set(&mut self, key: &Arc<str>, value: &Bytes, flags: u64) -> Vec<Entry> {
        let holder = self.entry(key).and_then(|entry| entry.session);
        let locks = self.locks(key);
        self.write(key, value, flags, locks, holder)
    }

    fn write(
        &mut self,
        key: &Arc<str>,
        value: &Bytes,
        flags: u64,
        locks: u64,
        session: Option<SessionId>,
    ) -> Vec<Entry> {
        let old = self.entry(key);
        let mut entry = Entry {
            key: key.clone(),
            value: value.clone(),
            flags,
            create_index: old.map_or(self.index, |old| old.create_index),
            modify_index: old.map_or(self.index, |old| old.modify_index),
            lock_index: locks,
            session,
        };
        // Writing what is there already is no change.
        if old != Some(&entry) {
            entry.modify_index = self.index;
            self.slots.insert(key.clone(), Slot::Live(entry.clone()));
            self.changed.insert(key.clone());
        }
        vec![entry]
    }

    fn delete(&mut self, key: &Arc<str>) {
        let Some(entry) = self.entry(key) else { return };
        let gone = Slot::Gone { revision: self.index, lock_index: entry.lock_index };
        self.slots.insert(key.clone(), gone);
        self.changed.insert(key.clone());
    }

    /// Begins a session.
    pub(crate) fn begin(&mut self, session: Session) {
        self.begun.insert(session.id);
        self.sessions.insert(session.id, session);
    }

    /// Ends a session: what it holds is released or deleted, and cannot be locked for a while. False if there is none.
    pub(crate) fn end(&mut self, id: SessionId) -> bool {
        let Some(session) = self.sessions.remove(&id) else { return false };
        let held: Vec<_> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.entry().is_some_and(|entry| entry.session == Some(id)))
            .map(|(key, _)| key.clone())
            .collect();
        for key in held {
            if session.lock_delay_ms > 0 {
                let delay = Delay { revision: self.index, length: session.lock_delay() };
                self.delayed.insert(key.clone(), Some(delay));
                self.delays.insert(key.clone(), true);
            }
            match session.behavior {
                Behavior::Delete => self.delete(&key),
                Behavior::Release => {
                    let Some(entry) = self.entry(&key).cloned() else { continue };
                    self.write(&key, &entry.value, entry.flags, entry.lock_index, None);
                }
            }
        }
        self.begun.remove(&id);
        self.ended.insert(id);
        true
    }

    pub(crate) fn is_changed(&self) -> bool {
        !(self.changed.is_empty()
            && self.ended.is_empty()
            && self.begun.is_empty()
            && self.delayed.is_empty())
    }

    /// What has to be written down.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let slots = self.changed.iter().filter_map(|key| Some(self.slots.get(key)?.to_cell(key)));
        let begun = self.begun.iter().filter_map(|id| self.sessions.get(id)).map(Session::to_cell);
        let ended = self.ended.iter().map(|id| Session::gone(*id, self.index));
        let delays = self.delayed.iter().map(|(key, delay)| Delay::to_cell(delay.as_ref(), key, self.index));
        slots.chain(begun).chain(ended).chain(delays).map(Step::Cell).collect()
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.slots.get(key).and_then(Slot::entry)
    }

    /// How often the key has been locked; counts on over a deletion, since a token must never be given twice.
    fn locks(&self, key: &str) -> u64 {
        self.slots.get(key).map_or(0, Slot::lock_index)
    }

    fn require(&self, key: &Arc<str>) -> Result<&Entry, Refused> {
        self.entry(key).ok_or_else(|| Refused::Missing(key.clone()))
    }

    fn under(&self, prefix: &str) -> impl Iterator<Item = &Entry> {
        let from: Arc<str> = prefix.into();
        let end: Arc<str> = from.clone();
        self.slots
            .range(from..)
            .take_while(move |(key, _)| key.starts_with(&*end))
            .filter_map(|(_, slot)| slot.entry())
    }
}
