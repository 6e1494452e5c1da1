//! The rules of the registry, pure: what is registered, what it means, and whose endpoints a step changed.
//!
//! Time comes in as a parameter; nothing here waits, wakes or writes. Liveness and the operator's overrides are kept
//! apart: a status that counts is worked out from both whenever one of them changes.

mod overrides;
mod read;
mod record;
mod service;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;
use trellis_core::{InstanceId, ServiceName, Status};

pub(crate) use overrides::{Override, Overrides};
pub(crate) use record::Record;
use service::Service;

use crate::error::{Error, Result};
use crate::options::Options;
use crate::registration::{Lease, Registration};
use crate::view::Target;

/// One moment on both clocks: leases run on the one that never jumps, people read the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) unix_ms: i64,
}

/// Services whose endpoint set is another one than before the step.
pub(crate) type Changed = BTreeSet<ServiceName>;

/// What a pass over the leases found.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    pub(crate) changed: Changed,
    /// Their lease ended.
    pub(crate) expired: Vec<(ServiceName, InstanceId)>,
    /// They had been expired for long enough.
    pub(crate) removed: Vec<(ServiceName, InstanceId)>,
}

/// Who asks for an instance to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The platform itself.
    Platform,
    /// Someone outside, who may not touch what the platform runs.
    Outside,
}

pub(crate) struct State {
    keep_expired: Duration,
    max_instances: usize,
    max_unknown_watches: usize,
    /// Those that have instances, and those that are watched.
    services: BTreeMap<ServiceName, Service>,
    index: HashMap<InstanceId, ServiceName>,
    /// One entry for each instance that has a deadline.
    deadlines: BTreeSet<(Instant, InstanceId)>,
    overrides: Overrides,
    /// The last revision given out. One counter for all services: a service that is forgotten and comes back never
    /// repeats a number that stood for another set.
    revision: u64,
}

impl State {
    /// `revision` is where counting starts; take one above all that earlier runs gave out.
    pub(crate) fn new(options: &Options, overrides: Overrides, revision: u64) -> Self {
        Self {
            keep_expired: options.keep_expired,
            max_instances: options.max_instances,
            max_unknown_watches: options.max_unknown_watches,
            services: BTreeMap::new(),
            index: HashMap::new(),
            deadlines: BTreeSet::new(),
            overrides,
            revision,
        }
    }

    /// Registers an instance, in place of one with the same id.
    pub(crate) fn register(&mut self, registration: Registration, now: Now) -> Result<Changed> {
        let faults = registration.faults();
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        match self.record(&registration.id) {
            Some(old) if old.is_managed() && registration.lease != Lease::Managed => {
                return Err(Error::Managed(registration.id));
            }
            None if self.index.len() >= self.max_instances => {
                return Err(Error::TooManyInstances(self.index.len()));
            }
            _ => {}
        }
        let old = self.take(&registration.id);
        let mut record = Record::new(registration, now);
        let overridden = self.overrides.for_instance(&record.instance().id, record.service());
        record.settle(overridden, now.unix_ms);
        let mut changed = Changed::new();
        let mut before = None;
        if let Some(old) = &old {
            record.succeed(old);
            if old.service() == record.service() {
                before = old.endpoint();
            } else if old.endpoint().is_some() {
                changed.insert(old.service().clone());
            }
        }
        if before != record.endpoint() {
            changed.insert(record.service().clone());
        }
        self.put(record);
        self.bump(&changed);
        if let Some(old) = old {
            self.prune(old.service());
        }
        Ok(changed)
    }

    /// Starts the lease again. An expired instance that is still listed comes back.
    pub(crate) fn renew(&mut self, id: &InstanceId, now: Now) -> Result<Changed> {
        self.update(id, now, |record| record.renew(now.instant))
    }

    /// Takes a report about liveness. It does not renew the lease.
    pub(crate) fn set_status(&mut self, id: &InstanceId, status: Status, now: Now) -> Result<Changed> {
        self.update(id, now, |record| record.report(status))
    }

    pub(crate) fn deregister(&mut self, id: &InstanceId, asker: Asker) -> Result<Changed> {
        if asker == Asker::Outside && self.record(id).is_some_and(Record::is_managed) {
            return Err(Error::Managed(id.clone()));
        }
        let record = self.take(id).ok_or_else(|| Error::UnknownInstance(id.clone()))?;
        let changed = record.endpoint().map(|_| record.service().clone()).into_iter().collect();
        self.bump(&changed);
        self.prune(record.service());
        Ok(changed)
    }

    /// Handles every deadline up to `now`.
    pub(crate) fn expire(&mut self, now: Now) -> Expiry {
        let mut found = Expiry::default();
        while self.next_deadline().is_some_and(|deadline| deadline <= now.instant) {
            let Some((_, id)) = self.deadlines.pop_first() else { break };
            let Some(mut record) = self.take(&id) else { continue };
            let service = record.service().clone();
            let before = record.endpoint();
            let mut after = None;
            if record.has_expired() {
                found.removed.push((service.clone(), id));
            } else {
                record.expire(now.instant, self.keep_expired);
                record.settle(self.overrides.for_instance(&id, &service), now.unix_ms);
                after = record.endpoint();
                self.put(record);
                found.expired.push((service.clone(), id));
            }
            if before != after {
                found.changed.insert(service);
            }
        }
        self.bump(&found.changed);
        for (service, _) in &found.removed {
            self.prune(service);
        }
        found
    }

    /// When [`Self::expire`] next has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Takes the operator's word, or takes it back.
    pub(crate) fn set_override(&mut self, target: Target, said: Option<Override>, now: Now) -> Changed {
        let (service, only) = match &target {
            Target::Instance(id) => (self.index.get(id).cloned(), Some(id.clone())),
            Target::Service(name) => (Some(name.clone()), None),
        };
        self.overrides.set(target, said);
        let mut changed = Changed::new();
        let Some(service) = service else { return changed };
        let Some(entry) = self.services.get_mut(&service) else { return changed };
        for (id, record) in
            entry.records.iter_mut().filter(|(id, _)| only.as_ref().is_none_or(|one| one == *id))
        {
            let before = record.endpoint();
            record.settle(self.overrides.for_instance(id, &service), now.unix_ms);
            if before != record.endpoint() {
                changed.insert(service.clone());
            }
        }
        self.bump(&changed);
        changed
    }

    fn record(&self, id: &InstanceId) -> Option<&Record> {
        self.services.get(self.index.get(id)?)?.records.get(id)
    }

    /// Changes one record and settles what follows.
    fn update(&mut self, id: &InstanceId, now: Now, change: impl FnOnce(&mut Record)) -> Result<Changed> {
        let unknown = || Error::UnknownInstance(id.clone());
        let service = self.index.get(id).ok_or_else(unknown)?;
        let record =
            self.services.get_mut(service).and_then(|entry| entry.records.get_mut(id)).ok_or_else(unknown)?;
        let (before, deadline) = (record.endpoint(), record.deadline());
        change(record);
        record.settle(self.overrides.for_instance(id, service), now.unix_ms);
        if deadline != record.deadline() {
            deadline.map(|old| self.deadlines.remove(&(old, id.clone())));
            record.deadline().map(|new| self.deadlines.insert((new, id.clone())));
        }
        let changed =
            if before == record.endpoint() { Changed::new() } else { Changed::from([service.clone()]) };
        self.bump(&changed);
        Ok(changed)
    }

    /// Removes a record everywhere; the service stays, with its revision.
    fn take(&mut self, id: &InstanceId) -> Option<Record> {
        let service = self.index.remove(id)?;
        let record = self.services.get_mut(&service)?.records.remove(id)?;
        record.deadline().map(|deadline| self.deadlines.remove(&(deadline, id.clone())));
        Some(record)
    }

    fn put(&mut self, record: Record) {
        let (id, service) = (record.instance().id.clone(), record.service().clone());
        record.deadline().map(|deadline| self.deadlines.insert((deadline, id.clone())));
        self.index.insert(id.clone(), service.clone());
        self.services.entry(service).or_default().records.insert(id, record);
    }

    /// Lets go of a service that nobody is in and nobody watches.
    fn prune(&mut self, service: &ServiceName) {
        if self.services.get(service).is_some_and(|entry| entry.records.is_empty() && !entry.watched) {
            self.services.remove(service);
        }
    }

    fn bump(&mut self, changed: &Changed) {
        for service in changed {
            self.revision += 1;
            if let Some(entry) = self.services.get_mut(service) {
                entry.changed(self.revision);
            }
        }
    }
}
