//! What can be asked of the state, and which services are kept for those who watch them.

use std::sync::Arc;

use trellis_core::{EndpointSet, InstanceId, ServiceName, Status};

use super::service::Service;
use super::{Overrides, Record, State};
use crate::error::{Error, Result};
use crate::view::Target;

impl State {
    /// The endpoints of a service; none, with revision 0, if it is not known.
    pub(crate) fn endpoints(&mut self, service: &ServiceName) -> Arc<EndpointSet> {
        self.services.get_mut(service).map(Service::snapshot).unwrap_or_default()
    }

    /// Keeps a service and its revision while it is watched, even when it has no instance.
    pub(crate) fn watch(&mut self, service: &ServiceName) -> Result<()> {
        if !self.services.contains_key(service) {
            let unknown = self.services.values().filter(|entry| entry.records.is_empty()).count();
            if unknown >= self.max_unknown_watches {
                return Err(Error::TooManyWatches(unknown));
            }
        }
        self.services.entry(service.clone()).or_default().watched = true;
        Ok(())
    }

    /// Ends [`Self::watch`].
    pub(crate) fn unwatch(&mut self, service: &ServiceName) {
        if let Some(entry) = self.services.get_mut(service) {
            entry.watched = false;
            self.prune(service);
        }
    }

    pub(crate) fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// Whether anyone is registered whom an override would be about.
    pub(crate) fn is_registered(&self, target: &Target) -> bool {
        match target {
            Target::Instance(id) => self.index.contains_key(id),
            Target::Service(name) => self.services.get(name).is_some_and(|entry| !entry.records.is_empty()),
        }
    }

    /// Copies of a service's records, with what the operator said of each.
    pub(crate) fn rows(&self, service: &ServiceName) -> Vec<(Record, Option<Status>)> {
        let row = |(id, record): (&InstanceId, &Record)| (record.clone(), self.overrides.of_instance(id));
        self.services.get(service).into_iter().flat_map(|entry| entry.records.iter().map(row)).collect()
    }

    /// One record, with what the operator said of it.
    pub(crate) fn row(&self, id: &InstanceId) -> Option<(Record, Option<Status>)> {
        Some((self.record(id)?.clone(), self.overrides.of_instance(id)))
    }

    /// Whether the service has instances.
    pub(crate) fn has(&self, name: &ServiceName) -> bool {
        self.services.get(name).is_some_and(|entry| !entry.records.is_empty())
    }

    /// The services that have instances, in the order of their names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.iter().filter(|(_, entry)| !entry.records.is_empty()).map(|(name, _)| name)
    }
}
