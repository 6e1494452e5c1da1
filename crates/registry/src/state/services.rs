//! Which instances a service has, in order.

use super::record::Record;
use super::{Changed, State};
use crate::error::{Error, Result};
use crate::model::names::ServiceKey;

impl State {
    /// Puts an instance into its service, and says so.
    pub(super) fn join(&mut self, slot: u32, delta: &mut Changed) {
        let Some(record) = self.records.get(slot) else { return };
        let (key, service, leased) = (record.key().clone(), record.view.service(), record.is_leased());
        let records = &self.records;
        let entry = self.services.entry(service.clone()).or_default();
        let place = entry.members.binary_search_by(|other| {
            let other = records.get(*other).map(Record::key);
            other.map(|other| (&other.node, &other.id)).cmp(&Some((&key.node, &key.id)))
        });
        if let Err(place) = place {
            entry.members.insert(place, slot);
            entry.leased += usize::from(leased);
        }
        if entry.members.len() == 1 {
            self.peopled += 1;
            delta.names = true;
        }
        delta.catalogs.insert(service.namespace.clone());
        delta.services.insert(service);
        delta.nodes.insert(key.node);
    }

    /// Takes an instance out of its service; the service stays until the end of the step.
    pub(super) fn leave(&mut self, slot: u32, delta: &mut Changed) {
        let records = &self.records;
        let Some(record) = records.get(slot) else { return };
        let (key, service, leased) = (record.key(), record.view.service(), record.is_leased());
        if let Some(entry) = self.services.get_mut(&service) {
            let place = entry.members.binary_search_by(|other| {
                let other = records.get(*other).map(Record::key);
                other.map(|other| (&other.node, &other.id)).cmp(&Some((&key.node, &key.id)))
            });
            if let Ok(place) = place {
                entry.members.remove(place);
            }
            entry.leased = entry.leased.saturating_sub(usize::from(leased));
            if entry.members.is_empty() {
                self.peopled = self.peopled.saturating_sub(1);
                delta.names = true;
            }
        }
        delta.catalogs.insert(service.namespace.clone());
        delta.services.insert(service);
    }

    /// Keeps a service and its revision while it is watched, even when it has no instance.
    pub(crate) fn watch(&mut self, service: &ServiceKey) -> Result<()> {
        if !self.services.contains_key(service) {
            let unknown = self.services.len() - self.peopled;
            if unknown >= self.options.max_unknown_watches {
                return Err(Error::TooManyWatches(unknown));
            }
        }
        let gone = self.gone;
        let entry = self.services.entry(service.clone()).or_default();
        entry.watched = true;
        entry.index = entry.index.max(if entry.members.is_empty() { gone } else { 0 });
        entry.checks_index = entry.checks_index.max(if entry.members.is_empty() { gone } else { 0 });
        Ok(())
    }

    /// Ends [`Self::watch`].
    pub(crate) fn unwatch(&mut self, service: &ServiceKey) {
        if let Some(entry) = self.services.get_mut(service) {
            entry.watched = false;
            let last = entry.index;
            self.prune(service, self.gone.max(last));
        }
    }
}
