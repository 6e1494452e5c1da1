//! What can be asked of the state. Sets are made when they are first asked for, and shared until they change.

use std::collections::BTreeMap;
use std::sync::Arc;

use trellis_core::EndpointSet;

use super::record::{Phase, Record};
use super::{State, slab};
use crate::model::check::{CheckStatus, CheckView};
use crate::model::labels::Tags;
use crate::model::names::{CheckKey, InstanceKey, Name, Namespace, ServiceKey};
use crate::model::snapshot::{
    Catalog, Change, ChangeKind, Changes, Checks, Entry, NodeSnapshot, Nodes, ServiceSnapshot,
};
use crate::model::topic::Topic;
use crate::stats::Stats;

impl State {
    /// The endpoints of a service; none, with revision 0, if it is not known.
    pub(crate) fn endpoints(&mut self, service: &ServiceKey) -> Arc<EndpointSet> {
        let Some(entry) = self.services.get_mut(service) else { return Arc::default() };
        if let Some(made) = &entry.endpoints {
            return made.clone();
        }
        let records = &self.records;
        let mut endpoints: Vec<_> =
            entry.members.iter().filter_map(|slot| records.get(*slot)?.endpoint()).collect();
        endpoints.sort_by(|a, b| a.id.cmp(&b.id));
        let made = Arc::new(EndpointSet { revision: entry.revision, endpoints });
        entry.endpoints = Some(made.clone());
        made
    }

    /// The revision of the endpoints of a service, if they are as they were at an index of this run.
    pub(crate) fn endpoints_known(&self, service: &ServiceKey, at: u64) -> Option<u64> {
        let revision = self.services.get(service).map_or(0, |entry| entry.revision);
        // Of one that is not known it is only known when the last such went.
        let changed = if revision > 0 { revision } else { self.gone };
        (changed <= at).then_some(revision)
    }

    /// All instances of a service.
    pub(crate) fn snapshot(&mut self, service: &ServiceKey) -> Arc<ServiceSnapshot> {
        let override_status = self.overrides.of_service(service);
        let Some(entry) = self.services.get_mut(service) else {
            let (key, index) = (service.clone(), self.gone);
            return Arc::new(ServiceSnapshot { key, index, override_status, entries: Vec::new() });
        };
        if let Some(made) = &entry.snapshot {
            return made.clone();
        }
        let (records, nodes) = (&self.records, &self.nodes);
        let row = |slot: &u32| {
            let instance = records.get(*slot)?.view.clone();
            Some(Entry { node: nodes.get(&instance.key.node)?.view.clone(), instance })
        };
        let entries: Vec<Entry> = entry.members.iter().filter_map(row).collect();
        // As the first of its instances spells it.
        let name = entries.first().map(|entry| entry.instance.definition.service.clone());
        let key = ServiceKey {
            namespace: service.namespace.clone(),
            name: name.unwrap_or_else(|| service.name.clone()),
        };
        let made = Arc::new(ServiceSnapshot { key, index: entry.index, override_status, entries });
        entry.snapshot = Some(made.clone());
        made
    }

    pub(crate) fn find(&self, key: &InstanceKey) -> Option<Entry> {
        let instance = self.record(key)?.view.clone();
        Some(Entry { node: self.nodes.get(&key.node)?.view.clone(), instance })
    }

    pub(crate) fn record(&self, key: &InstanceKey) -> Option<&Record> {
        self.records.get(self.slot(key)?)
    }

    /// The id of an instance among the endpoints of its service, and how many milliseconds are left of its lease.
    pub(crate) fn lease_of(
        &self,
        key: &InstanceKey,
        now: super::Now,
    ) -> (trellis_core::InstanceId, Option<u64>) {
        let Some(record) = self.record(key) else { return (key.id.clone(), None) };
        let left = record.deadline.map(|end| match record.phase {
            Phase::Live => end.saturating_duration_since(now.instant).as_millis() as u64,
            Phase::Held | Phase::Expired => 0,
        });
        (record.endpoint_id.clone(), left)
    }

    pub(crate) fn catalog(&mut self, namespace: &Namespace) -> Arc<Catalog> {
        let index = self.topic_index(&Topic::Services(namespace.clone()));
        if let Some((_, Some(made))) = self.catalogs.get(namespace) {
            return made.clone();
        }
        let mut services: BTreeMap<Name, Tags> = BTreeMap::new();
        for (key, entry) in &self.services {
            if key.namespace != *namespace || entry.members.is_empty() {
                continue;
            }
            let views = || entry.members.iter().filter_map(|slot| Some(&self.records.get(*slot)?.view));
            let mut all: Vec<&Tags> = views().map(|view| &view.definition.tags).collect();
            all.sort_unstable();
            all.dedup();
            let tags = match all.as_slice() {
                [one] => Tags::clone(one),
                several => {
                    let mut tags: Vec<&str> = several.iter().flat_map(|tags| tags.iter()).collect();
                    tags.sort_unstable();
                    tags.dedup();
                    tags.into_iter().collect()
                }
            };
            let name = views().next().map(|view| view.definition.service.clone());
            services.insert(name.unwrap_or_else(|| key.name.clone()), tags);
        }
        let made = Arc::new(Catalog { namespace: namespace.clone(), index, services });
        if let Some((_, kept)) = self.catalogs.get_mut(namespace) {
            *kept = Some(made.clone());
        }
        made
    }

    pub(crate) fn namespaces(&self) -> Vec<Namespace> {
        let peopled = self.services.iter().filter(|(_, entry)| !entry.members.is_empty());
        let mut all: Vec<_> = peopled.map(|(key, _)| key.namespace.clone()).collect();
        all.push(Namespace::default());
        all.sort();
        all.dedup();
        all
    }

    pub(crate) fn nodes(&mut self) -> Arc<Nodes> {
        if let Some(made) = &self.nodes_snapshot {
            return made.clone();
        }
        let nodes = self.nodes.values().map(|entry| entry.view.clone()).collect();
        let made = Arc::new(Nodes { index: self.nodes_index, nodes });
        self.nodes_snapshot = Some(made.clone());
        made
    }

    pub(crate) fn node(&mut self, name: &Name) -> Option<Arc<NodeSnapshot>> {
        let entry = self.nodes.get_mut(name)?;
        if let Some(made) = &entry.snapshot {
            return Some(made.clone());
        }
        let records = &self.records;
        let views = entry.members.iter().filter_map(|slot| Some(records.get(*slot)?.view.clone()));
        let mut instances: Vec<_> = views.collect();
        instances.sort_by(|a, b| (&a.key.namespace, &a.key.id).cmp(&(&b.key.namespace, &b.key.id)));
        let made = Arc::new(NodeSnapshot { index: entry.index, node: entry.view.clone(), instances });
        entry.snapshot = Some(made.clone());
        Some(made)
    }

    pub(crate) fn checks_in_state(&self, status: Option<CheckStatus>) -> Checks {
        let wanted = |view: &&Arc<CheckView>| status.is_none_or(|status| view.status == status);
        let checks = self.checks.iter().map(|(_, check)| &check.view).filter(wanted).cloned();
        sorted(self.topic_index(&Topic::State(status)), checks.collect())
    }

    pub(crate) fn checks_of_node(&self, name: &Name) -> Checks {
        let index = self.topic_index(&Topic::NodeChecks(name.clone()));
        let Some(entry) = self.nodes.get(name) else { return sorted(index, Vec::new()) };
        let of_members = entry.members.iter().filter_map(|slot| self.records.get(*slot));
        let of_members = of_members.flat_map(|record| record.view.checks.iter());
        sorted(index, entry.view.checks.iter().chain(of_members).cloned().collect())
    }

    pub(crate) fn checks_of_service(&self, service: &ServiceKey) -> Checks {
        let index = self.topic_index(&Topic::ChecksOfService(service.clone()));
        let members = self.services.get(service).into_iter().flat_map(|entry| &entry.members);
        let records = members.filter_map(|slot| self.records.get(*slot));
        sorted(index, records.flat_map(|record| record.view.checks.iter()).cloned().collect())
    }

    pub(crate) fn check(&self, key: &CheckKey) -> Option<Arc<CheckView>> {
        Some(self.checks.get(self.check_slot(key)?)?.view.clone())
    }

    pub(crate) fn find_check(&self, namespace: &Namespace, node: &Name, id: &str) -> Option<Arc<CheckView>> {
        let entry = self.nodes.get(node)?;
        let known = |slots: &[u32]| {
            let views = slots.iter().filter_map(|slot| Some(self.checks.get(*slot)?.view.clone()));
            views.into_iter().find(|view| *view.key.id == *id)
        };
        if let Some(view) = known(&entry.checks) {
            return Some(view);
        }
        // Most ids say whose they are.
        let said = id.strip_prefix("service:").map(|rest| (rest, rest.rsplit_once(':').map(|(id, _)| id)));
        let said = said.into_iter().flat_map(|(whole, part)| [Some(whole), part]).flatten();
        for text in said {
            let Ok(id) = text.parse() else { continue };
            let key = InstanceKey { namespace: namespace.clone(), node: node.clone(), id };
            if let Some(view) = self.record(&key).and_then(|record| known(&record.checks)) {
                return Some(view);
            }
        }
        let records = entry.members.iter().filter_map(|slot| self.records.get(*slot));
        let mut records: Vec<_> = records
            .filter(|record| record.key().namespace == *namespace && !record.checks.is_empty())
            .collect();
        records.sort_by(|a, b| a.key().cmp(b.key()));
        records.into_iter().find_map(|record| known(&record.checks))
    }

    /// What became of instances after an index; only the last of each.
    pub(crate) fn changes_since(&self, index: u64) -> Changes {
        if index < self.log_from || index > self.index {
            return Changes::Resync;
        }
        let start = self.log.partition_point(|change| change.index <= index);
        let mut last: BTreeMap<&InstanceKey, Change> = BTreeMap::new();
        for seen in self.log.iter().skip(start) {
            let mut change = seen.clone();
            let was_added = last.get(&seen.instance.key).is_some_and(|old| old.kind == ChangeKind::Added);
            if was_added && change.kind == ChangeKind::Modified {
                change.kind = ChangeKind::Added;
            }
            last.insert(&seen.instance.key, change);
        }
        let mut changes: Vec<Change> = last.into_values().collect();
        changes.sort_by_key(|change| change.index);
        Changes::Since(changes)
    }

    pub(crate) fn index(&self) -> u64 {
        self.index
    }

    pub(crate) fn topic_index(&self, topic: &Topic) -> u64 {
        let known = match topic {
            Topic::Service(key) => self.services.get(key).map(|entry| entry.index),
            Topic::ChecksOfService(key) => self.services.get(key).map(|entry| entry.checks_index),
            Topic::Services(namespace) => self.catalogs.get(namespace).map(|(index, _)| *index),
            Topic::Nodes => Some(self.nodes_index),
            Topic::Node(name) => self.nodes.get(name).map(|entry| entry.index),
            Topic::NodeChecks(name) => self.nodes.get(name).map(|entry| entry.checks_index),
            Topic::State(Some(status)) => Some(self.by_status[*status as usize]),
            Topic::State(None) => self.by_status.iter().copied().max(),
            Topic::Agent => self.nodes.get(&self.own).map(|entry| entry.index.max(entry.checks_index)),
            Topic::All => Some(self.index),
        };
        known.filter(|index| *index > 0).unwrap_or(self.gone)
    }

    /// Whether the service has instances.
    pub(crate) fn has(&self, service: &ServiceKey) -> bool {
        self.services.get(service).is_some_and(|entry| !entry.members.is_empty())
    }

    /// The services of the default namespace that have instances.
    pub(crate) fn names(&self) -> impl Iterator<Item = &ServiceKey> {
        let peopled = self.services.iter().filter(|(_, entry)| !entry.members.is_empty());
        peopled.map(|(key, _)| key).filter(|key| key.namespace.is_default())
    }

    pub(crate) fn count(&self) -> Stats {
        Stats {
            instances: slab::Slab::len(&self.records) as u64,
            services: self.peopled as u64,
            nodes: self.nodes.len() as u64,
            checks: slab::Slab::len(&self.checks) as u64,
            protections: self.protections,
            ..Stats::default()
        }
    }
}

fn sorted(index: u64, mut checks: Vec<Arc<CheckView>>) -> Checks {
    let node = |view: &CheckView| view.key.owner.node().clone();
    checks.sort_by(|a, b| (node(a), &a.key.owner, &a.key.id).cmp(&(node(b), &b.key.owner, &b.key.id)));
    Checks { index, checks }
}
