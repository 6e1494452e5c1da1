//! How instances go.

use super::{Asker, Changed, Now, State};
use crate::error::{Error, Result};
use crate::model::names::{CheckOwner, InstanceKey, Name};
use crate::model::snapshot::ChangeKind;

impl State {
    /// Whether an instance is there and may be removed.
    pub(crate) fn may_remove(&self, key: &InstanceKey, asker: Asker) -> Result<()> {
        let record =
            self.slot(key).and_then(|slot| self.records.get(slot)).ok_or_else(|| self.unknown(key))?;
        if asker == Asker::Outside && record.is_managed() {
            return Err(Error::Managed(key.id.clone()));
        }
        Ok(())
    }

    pub(crate) fn deregister(&mut self, key: &InstanceKey, asker: Asker, now: Now) -> Result<Changed> {
        self.may_remove(key, asker)?;
        let mut delta = Changed::default();
        if let Some(slot) = self.slot(key) {
            self.take_out(slot, now, &mut delta);
        }
        Ok(self.finish(delta, now))
    }

    /// What is said of a key that nobody has.
    pub(crate) fn unknown(&self, key: &InstanceKey) -> Error {
        if key.node == self.own && key.namespace.is_default() {
            Error::UnknownInstance(key.id.clone())
        } else {
            Error::UnknownKey(key.clone())
        }
    }

    /// Removes an instance everywhere; its service stays until the end of the step.
    pub(super) fn take_out(&mut self, slot: u32, now: Now, delta: &mut Changed) {
        let Some(record) = self.records.get(slot) else { return };
        let (key, checks, scheduled) = (record.key().clone(), record.checks.clone(), record.scheduled);
        let (service, is_shown) = (record.view.service(), record.shown.is_some());
        self.places.leave(record.place);
        self.note(ChangeKind::Removed, slot, now);
        for check in checks {
            self.drop_check(check, delta);
        }
        self.leave(slot, delta);
        self.aliases.touch(|| CheckOwner::Instance(key.clone()));
        if is_shown {
            delta.endpoints.insert(service);
        }
        if let Some(at) = scheduled {
            self.deadlines.remove(&(at, super::Due::Lease(slot)));
        }
        let hash = self.hash(&key);
        if let Ok(place) = self.by_key.find_entry(hash, |other| *other == slot) {
            place.remove();
        }
        if let Some(node) = self.nodes.get_mut(&key.node) {
            node.members.remove(&slot);
        }
        self.records.remove(slot);
        delta.nodes.insert(key.node);
    }

    /// Removes a node and all that is on it.
    pub(crate) fn remove_node(&mut self, name: &Name, now: Now) -> Result<Changed> {
        self.may_remove_node(name)?;
        Ok(self.take_out_node(name, now))
    }

    pub(super) fn take_out_node(&mut self, name: &Name, now: Now) -> Changed {
        let mut delta = Changed::default();
        let Some(entry) = self.nodes.get(name) else { return delta };
        let (members, checks) = (entry.members.clone(), entry.checks.clone());
        for slot in members {
            self.take_out(slot, now, &mut delta);
        }
        for check in checks {
            self.drop_check(check, &mut delta);
        }
        self.nodes.remove(name);
        self.aliases.touch(|| CheckOwner::Node(name.clone()));
        delta.node_list = true;
        delta.nodes.insert(name.clone());
        self.gone = self.next();
        self.finish(delta, now)
    }

    /// Whether a node is there and may be removed.
    pub(crate) fn may_remove_node(&self, name: &Name) -> Result<()> {
        if *name == self.own {
            return Err(Error::Own(format!("the node {name}")));
        }
        let entry = self.nodes.get(name).ok_or_else(|| Error::UnknownNode(name.clone()))?;
        let managed = |slot: &u32| self.records.get(*slot).filter(|record| record.is_managed());
        match entry.members.iter().find_map(managed) {
            Some(record) => Err(Error::Managed(record.key().id.clone())),
            None => Ok(()),
        }
    }
}
