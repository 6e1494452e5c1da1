//! What the operator said, apart from what liveness says.

use std::collections::BTreeMap;

use trellis_core::Status;

use super::{Changed, Now, State};
use crate::error::Error;
use crate::model::names::{CheckOwner, InstanceKey, Name, ServiceKey};
use crate::view::{OverrideView, Target};

/// Whom an override is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    /// One instance.
    Instance(InstanceKey),
    /// All instances of a service.
    Service(ServiceKey),
}

/// A status that wins over liveness, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Override {
    pub(crate) status: Status,
    pub(crate) since_unix_ms: i64,
}

/// All overrides. They outlive the instances they are about.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    instances: BTreeMap<InstanceKey, Override>,
    services: BTreeMap<ServiceKey, Override>,
}

impl Overrides {
    pub(crate) fn len(&self) -> usize {
        self.instances.len() + self.services.len()
    }

    pub(crate) fn get(&self, about: &About) -> Option<Override> {
        match about {
            About::Instance(key) => self.instances.get(key).copied(),
            About::Service(key) => self.services.get(key).copied(),
        }
    }

    pub(crate) fn set(&mut self, about: About, said: Option<Override>) {
        fn put<K: Ord>(map: &mut BTreeMap<K, Override>, key: K, said: Option<Override>) {
            match said {
                Some(said) => map.insert(key, said),
                None => map.remove(&key),
            };
        }
        match about {
            About::Instance(key) => put(&mut self.instances, key, said),
            About::Service(key) => put(&mut self.services, key, said),
        }
    }

    pub(crate) fn all(&self) -> Vec<(About, Override)> {
        let instances = self.instances.iter().map(|(key, said)| (About::Instance(key.clone()), *said));
        let services = self.services.iter().map(|(key, said)| (About::Service(key.clone()), *said));
        instances.chain(services).collect()
    }

    /// Whom others say nothing of.
    pub(crate) fn beyond(&self, others: &Self) -> Vec<About> {
        let all = self.all().into_iter().map(|(about, _)| about);
        all.filter(|about| others.get(about).is_none()).collect()
    }

    pub(crate) fn of_instance(&self, key: &InstanceKey) -> Option<Status> {
        // Most registries have none, and this is asked for every instance.
        if self.instances.is_empty() { None } else { self.instances.get(key).map(|said| said.status) }
    }

    pub(crate) fn of_service(&self, key: &ServiceKey) -> Option<Status> {
        if self.services.is_empty() { None } else { self.services.get(key).map(|said| said.status) }
    }

    pub(crate) fn views(&self, own: &Name) -> Vec<OverrideView> {
        let view = |target, said: &Override| OverrideView {
            target,
            status: said.status,
            since_unix_ms: said.since_unix_ms,
        };
        let services = self.services.iter().map(|(key, said)| view(Target::of_service(key), said));
        let instances = self.instances.iter().map(|(key, said)| view(Target::of_instance(key, own), said));
        services.chain(instances).collect()
    }
}

impl State {
    /// Takes the operator's word, or takes it back.
    pub(crate) fn set_override(&mut self, about: About, said: Option<Override>, now: Now) -> Changed {
        let members = match &about {
            About::Instance(key) => self.slot(key).into_iter().collect(),
            About::Service(key) => {
                self.services.get(key).map(|entry| entry.members.clone()).unwrap_or_default()
            }
        };
        let mut delta = Changed::default();
        if let About::Service(key) = &about
            && !members.is_empty()
            && self.overrides.get(&about).map(|old| old.status) != said.map(|said| said.status)
        {
            delta.services.insert(key.clone());
        }
        self.overrides.set(about, said);
        for slot in members {
            if let Some(record) = self.records.get(slot) {
                self.aliases.touch(|| CheckOwner::Instance(record.key().clone()));
            }
            self.settle(slot, false, now, &mut delta);
        }
        self.finish(delta, now)
    }

    /// What was taken over is as its row has it, since when included.
    pub(crate) fn date_override(&mut self, about: &About, said: Option<Override>) {
        self.overrides.set(about.clone(), said);
    }

    /// Whether something may be said of someone: they have to be registered, unless something is said already.
    pub(crate) fn may_override(&self, about: &About, ahead: usize) -> Result<(), Error> {
        if self.overrides.get(about).is_some() {
            return Ok(());
        }
        match about {
            About::Instance(key) if self.slot(key).is_none() => return Err(self.unknown(key)),
            About::Service(key) if !self.has(key) => return Err(Error::UnknownService(key.clone())),
            _ => {}
        }
        let count = self.overrides.len() + ahead;
        if count >= self.options.max_overrides { Err(Error::TooManyOverrides(count)) } else { Ok(()) }
    }

    pub(crate) fn overrides(&self) -> &Overrides {
        &self.overrides
    }
}
