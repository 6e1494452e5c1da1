//! What should happen, said as plainly as possible.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::kv::Entry;
use crate::kv::ops::TxnOp;
use crate::kv::session::{Behavior, SessionId};

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) entries: BTreeMap<Arc<str>, Entry>,
    /// Behaviour, and whether there is a lock delay.
    pub(super) sessions: BTreeMap<SessionId, (Behavior, bool)>,
    pub(super) delayed: BTreeSet<Arc<str>>,
    /// How often each key was locked.
    locks: BTreeMap<Arc<str>, u64>,
}

impl Model {
    /// The results, or how many operations did not apply.
    pub(super) fn txn(&mut self, ops: &[TxnOp], index: u64) -> Result<Vec<Vec<Entry>>, usize> {
        let before = self.clone();
        let results: Vec<_> = ops.iter().map(|op| self.one(op, index)).collect();
        let wrong = results.iter().filter(|result| result.is_none()).count();
        if wrong > 0 {
            *self = before;
            return Err(wrong);
        }
        Ok(results.into_iter().flatten().collect())
    }

    fn one(&mut self, op: &TxnOp, now: u64) -> Option<Vec<Entry>> {
        let found = |this: &Self, key: &Arc<str>| this.entries.get(key).cloned();
        match op {
            TxnOp::Set { key, value, flags } => {
                let holder = found(self, key).and_then(|e| e.session);
                Some(self.write(key, value, *flags, holder, now))
            }
            TxnOp::Cas { key, value, flags, index } => {
                let current = found(self, key);
                let holder = current.as_ref().and_then(|e| e.session);
                let right = current.map_or(0, |e| e.modify_index) == *index;
                right.then(|| self.write(key, value, *flags, holder, now))
            }
            TxnOp::Lock { key, value, flags, session } => {
                let holder = found(self, key).and_then(|e| e.session);
                let is_new = holder.is_none();
                let may = holder == Some(*session) || (is_new && !self.delayed.contains(key));
                if !may || !self.sessions.contains_key(session) {
                    return None;
                }
                if is_new {
                    *self.locks.entry(key.clone()).or_default() += 1;
                }
                Some(self.write(key, value, *flags, Some(*session), now))
            }
            TxnOp::Unlock { key, value, flags, session } => (found(self, key)?.session == Some(*session))
                .then(|| self.write(key, value, *flags, None, now)),
            TxnOp::Get { key } => Some(vec![found(self, key)?]),
            TxnOp::GetOrEmpty { key } => Some(vec![found(self, key).unwrap_or(Entry {
                key: key.clone(),
                value: Bytes::new(),
                flags: 0,
                create_index: 0,
                modify_index: 0,
                lock_index: 0,
                session: None,
            })]),
            TxnOp::GetTree { prefix } => {
                Some(self.entries.values().filter(|e| e.key.starts_with(&**prefix)).cloned().collect())
            }
            TxnOp::CheckIndex { key, index } => {
                found(self, key).filter(|e| e.modify_index == *index).map(|e| vec![e])
            }
            TxnOp::CheckSession { key, session } => {
                found(self, key).filter(|e| e.session == Some(*session)).map(|e| vec![e])
            }
            TxnOp::CheckNotExists { key } => found(self, key).is_none().then(Vec::new),
            TxnOp::Delete { key } => {
                self.entries.remove(key);
                Some(Vec::new())
            }
            TxnOp::DeleteTree { prefix } => {
                self.entries.retain(|key, _| !key.starts_with(&**prefix));
                Some(Vec::new())
            }
            TxnOp::DeleteCas { key, index } => match found(self, key) {
                Some(entry) if entry.modify_index != *index => None,
                _ => {
                    self.entries.remove(key);
                    Some(Vec::new())
                }
            },
        }
    }

    fn write(
        &mut self,
        key: &Arc<str>,
        value: &Bytes,
        flags: u64,
        session: Option<SessionId>,
        now: u64,
    ) -> Vec<Entry> {
        let lock_index = self.locks.get(key).copied().unwrap_or_default();
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry {
            key: key.clone(),
            value: Bytes::new(),
            flags: u64::MAX,
            create_index: now,
            modify_index: now,
            lock_index,
            session,
        });
        let same = entry.value == *value
            && entry.flags == flags
            && entry.session == session
            && entry.lock_index == lock_index;
        if !same {
            *entry = Entry {
                value: value.clone(),
                flags,
                session,
                lock_index,
                modify_index: now,
                ..entry.clone()
            };
        }
        vec![entry.clone()]
    }

    pub(super) fn end(&mut self, id: SessionId, now: u64) -> bool {
        let Some((behavior, delay)) = self.sessions.remove(&id) else { return false };
        let held: Vec<_> = self.entries.values().filter(|e| e.session == Some(id)).cloned().collect();
        for entry in held {
            if delay {
                self.delayed.insert(entry.key.clone());
            }
            match behavior {
                Behavior::Delete => drop(self.entries.remove(&entry.key)),
                Behavior::Release => drop(self.write(&entry.key, &entry.value, entry.flags, None, now)),
            }
        }
        true
    }
}
