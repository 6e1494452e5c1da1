//! What is current, in memory: immutable, shared by all readers, and replaced as a whole.

use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::cells::{Cell, Kind};
use crate::kv::tokens::{Delay, Slot};
use crate::kv::{Entry, Session, SessionId};
use crate::versioned::item::Item;
use crate::versioned::schema::SchemaView;

/// Everything as of one revision. A clone shares what it does not change.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    /// Deletions up to this revision may be forgotten.
    pub(crate) floor: u64,
    pub(crate) slots: OrdMap<Arc<str>, Arc<Slot>>,
    pub(crate) sessions: OrdMap<SessionId, Arc<Session>>,
    /// The keys that each session holds.
    held: OrdMap<SessionId, OrdSet<Arc<str>>>,
    /// The last revision that began or ended a session.
    sessions_index: u64,
    pub(crate) delays: OrdMap<Arc<str>, Arc<Delay>>,
    pub(crate) items: OrdMap<Arc<str>, Arc<Item>>,
    pub(crate) schemas: OrdMap<Arc<str>, Arc<SchemaView>>,
    /// Configuration keys that were removed with their history, and when: those who follow them are yet to hear of it.
    pub(crate) purged: OrdMap<Arc<str>, u64>,
    /// How many deleted keys of the key-value space are remembered.
    pub(crate) gone: usize,
    /// How many ended sessions and delays were written down since the last time that deletions were forgotten.
    pub(crate) ended: usize,
}

impl Snapshot {
    /// Takes in one cell. The error says why it cannot be read; nothing is changed then.
    pub(crate) fn apply(&mut self, cell: &Cell) -> Result<(), String> {
        match cell.kind {
            Kind::Kv => {
                let (key, slot) = Slot::of_cell(cell)?;
                let is_gone = slot.entry().is_none();
                let holder = slot.entry().and_then(|entry| entry.session);
                let old = self.slots.insert(key.clone(), Arc::new(slot));
                let old = old.as_deref();
                let was_gone = old.is_some_and(|slot| slot.entry().is_none());
                self.gone = self.gone + usize::from(is_gone) - usize::from(was_gone);
                self.hold(&key, old.and_then(|slot| slot.entry()?.session), holder);
            }
            Kind::Session => {
                let (id, session) = Session::of_cell(cell)?;
                if let Some(session) = session {
                    self.sessions.insert(id, Arc::new(session));
                } else {
                    self.sessions.remove(&id);
                    self.ended += 1;
                }
                self.sessions_index = self.sessions_index.max(cell.revision);
            }
            Kind::Delay => {
                let (key, delay) = Delay::of_cell(cell)?;
                if let Some(delay) = delay {
                    self.delays.insert(key, Arc::new(delay));
                } else {
                    self.delays.remove(&key);
                    self.ended += 1;
                }
            }
            Kind::Item => {
                let item = Item::of_cell(cell)?;
                self.purged.remove(&item.name);
                self.items.insert(item.name.clone(), Arc::new(item));
            }
            Kind::Schema => {
                let name: Arc<str> = cell.name()?.into();
                if cell.live {
                    self.schemas.insert(name, Arc::new(SchemaView::of_cell(cell)?));
                } else {
                    self.schemas.remove(&name);
                }
            }
            Kind::Purged => {
                let name: Arc<str> = cell.name()?.into();
                // One transaction may remove a key and write it anew.
                if self.items.get(&name).is_none_or(|item| item.revision < cell.revision) {
                    self.items.remove(&name);
                    self.purged.insert(name, cell.revision);
                }
            }
            Kind::Floor => {
                self.floor = self.floor.max(cell.meta()?);
                self.slots = std::mem::take(&mut self.slots)
                    .into_iter()
                    .filter(|(_, slot)| slot.entry().is_some() || slot.revision() > self.floor)
                    .collect();
                self.gone = self.slots.values().filter(|slot| slot.entry().is_none()).count();
                let floor = self.floor;
                self.purged =
                    std::mem::take(&mut self.purged).into_iter().filter(|(_, at)| *at > floor).collect();
                self.ended = 0;
            }
        }
        self.revision = self.revision.max(cell.revision);
        Ok(())
    }

    fn hold(&mut self, key: &Arc<str>, old: Option<SessionId>, new: Option<SessionId>) {
        if old == new {
            return;
        }
        if let Some(old) = old
            && let Some(keys) = self.held.get_mut(&old)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.held.remove(&old);
            }
        }
        if let Some(new) = new {
            self.held.entry(new).or_default().insert(key.clone());
        }
    }

    /// The keys that a session holds.
    pub(crate) fn held_by(&self, session: SessionId) -> impl Iterator<Item = (&Arc<str>, &Slot)> {
        let keys = self.held.get(&session).into_iter().flatten();
        keys.filter_map(|key| self.slots.get_key_value(key)).map(|(key, slot)| (key, &**slot))
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.slots.get(key).and_then(|slot| slot.entry())
    }

    /// The slots of all keys that begin so, those of deleted keys included.
    pub(crate) fn slots_under<'s>(
        &'s self,
        prefix: &'s str,
    ) -> impl Iterator<Item = (&'s Arc<str>, &'s Slot)> {
        under(&self.slots, prefix).map(|(key, slot)| (key, &**slot))
    }

    /// The index of one key: that of its last change, its deletion included.
    pub(crate) fn key_index(&self, key: &str) -> u64 {
        self.slots.get(key).map_or(self.floor, |slot| slot.revision()).max(1)
    }

    /// The index of all keys that begin so: the larger one of what is there and what was deleted.
    pub(crate) fn prefix_index(&self, prefix: &str) -> u64 {
        let last = self.slots_under(prefix).map(|(_, slot)| slot.revision()).max();
        last.unwrap_or_default().max(self.floor).max(1)
    }

    /// The index of all sessions.
    pub(crate) fn sessions_index(&self) -> u64 {
        self.sessions_index.max(self.floor).max(1)
    }

    /// How many deletions are remembered, for those who are yet to hear of them.
    pub(crate) fn tombstones(&self) -> usize {
        self.gone + self.ended + self.purged.len()
    }

    /// Configuration keys that were removed with their history, whose name begins so.
    pub(crate) fn purged_under<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = (&'s Arc<str>, u64)> {
        under(&self.purged, prefix).map(|(name, at)| (name, *at))
    }

    /// Configuration keys whose name begins so, deleted ones included.
    pub(crate) fn items_under<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'s Arc<Item>> {
        under(&self.items, prefix).map(|(_, item)| item)
    }
}

fn under<'m, V: Clone>(
    map: &'m OrdMap<Arc<str>, V>,
    prefix: &'m str,
) -> impl Iterator<Item = (&'m Arc<str>, &'m V)> {
    let from = (Bound::Included(prefix), Bound::Unbounded);
    map.range::<_, str>(from).take_while(move |(key, _)| key.starts_with(prefix))
}
