//! What the operator said, apart from what liveness says.

use std::collections::BTreeMap;

use trellis_core::{InstanceId, ServiceName, Status};

use crate::view::{OverrideView, Target};

/// A status that wins over liveness, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Override {
    pub(crate) status: Status,
    pub(crate) since_unix_ms: i64,
}

/// All overrides. They outlive the instances they are about.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    instances: BTreeMap<InstanceId, Override>,
    services: BTreeMap<ServiceName, Override>,
}

impl Overrides {
    pub(crate) fn len(&self) -> usize {
        self.instances.len() + self.services.len()
    }

    pub(crate) fn get(&self, target: &Target) -> Option<Override> {
        match target {
            Target::Instance(id) => self.instances.get(id).copied(),
            Target::Service(name) => self.services.get(name).copied(),
        }
    }

    pub(crate) fn set(&mut self, target: Target, said: Option<Override>) {
        fn put<K: Ord>(map: &mut BTreeMap<K, Override>, key: K, said: Option<Override>) {
            match said {
                Some(said) => map.insert(key, said),
                None => map.remove(&key),
            };
        }
        match target {
            Target::Instance(id) => put(&mut self.instances, id, said),
            Target::Service(name) => put(&mut self.services, name, said),
        }
    }

    pub(crate) fn of_instance(&self, id: &InstanceId) -> Option<Status> {
        self.instances.get(id).map(|said| said.status)
    }

    pub(crate) fn of_service(&self, name: &ServiceName) -> Option<Status> {
        self.services.get(name).map(|said| said.status)
    }

    /// What holds for an instance: what is said of itself, else of its service.
    pub(crate) fn for_instance(&self, id: &InstanceId, service: &ServiceName) -> Option<Status> {
        self.of_instance(id).or_else(|| self.of_service(service))
    }

    pub(crate) fn views(&self) -> Vec<OverrideView> {
        let view = |target, said: &Override| OverrideView {
            target,
            status: said.status,
            since_unix_ms: said.since_unix_ms,
        };
        let services = self.services.iter().map(|(name, said)| view(Target::Service(name.clone()), said));
        let instances = self.instances.iter().map(|(id, said)| view(Target::Instance(id.clone()), said));
        services.chain(instances).collect()
    }
}
