//! Reading: immutable snapshots, shared by all who ask.

use std::sync::Arc;
use std::time::Duration;

use trellis_core::InstanceId;

use super::Handle;
use crate::model::check::{CheckStatus, CheckView};
use crate::model::names::{CheckKey, InstanceKey, Name, Namespace, ServiceKey};
use crate::model::snapshot::{Catalog, Changes, Checks, Entry, NodeSnapshot, Nodes, ServiceSnapshot};
use crate::state::State;
use crate::stats::Stats;

impl Handle {
    /// The name of the platform's own node.
    pub fn own_node(&self) -> &Name {
        &self.shared.options.node.name
    }

    /// The key of an instance of the default namespace on the platform's own node.
    pub fn own_key(&self, id: &InstanceId) -> InstanceKey {
        InstanceKey { namespace: Namespace::default(), node: self.own_node().clone(), id: id.clone() }
    }

    /// All instances of a service, whatever their status. Cheap: one lookup. Empty, with an index all the same, if the
    /// service is not known.
    pub fn snapshot(&self, service: &ServiceKey) -> Arc<ServiceSnapshot> {
        self.shared.make(|state| state.snapshot(service))
    }

    /// One instance and its node.
    pub fn find(&self, key: &InstanceKey) -> Option<Entry> {
        self.shared.read(|state| state.find(key))
    }

    /// The services of a namespace, and their tags.
    pub fn catalog(&self, namespace: &Namespace) -> Arc<Catalog> {
        self.shared.make(|state| state.catalog(namespace))
    }

    /// The namespaces that have instances; the default one always.
    pub fn namespaces(&self) -> Vec<Namespace> {
        self.shared.read(State::namespaces)
    }

    /// All nodes.
    pub fn nodes(&self) -> Arc<Nodes> {
        self.shared.make(State::nodes)
    }

    /// A node and all that is on it.
    pub fn node(&self, name: &Name) -> Option<Arc<NodeSnapshot>> {
        self.shared.make(|state| state.node(name))
    }

    /// All checks of all namespaces with this status, or all checks.
    pub fn checks_in_state(&self, status: Option<CheckStatus>) -> Checks {
        self.shared.read(|state| state.checks_in_state(status))
    }

    /// The checks of a node, and of the instances on it.
    pub fn checks_of_node(&self, node: &Name) -> Checks {
        self.shared.read(|state| state.checks_of_node(node))
    }

    /// The checks of a service's instances, without those of their nodes.
    pub fn checks_of_service(&self, service: &ServiceKey) -> Checks {
        self.shared.read(|state| state.checks_of_service(service))
    }

    /// One check.
    pub fn check(&self, key: &CheckKey) -> Option<Arc<CheckView>> {
        self.shared.read(|state| state.check(key))
    }

    /// The check with this id on a node, be it the node's or one of an instance's: that of the node first, then the
    /// instances in the order of their keys.
    pub fn find_check(&self, namespace: &Namespace, node: &Name, id: &str) -> Option<Arc<CheckView>> {
        self.shared.read(|state| state.find_check(namespace, node, id))
    }

    /// What became of instances since an index, as far back as [`Options::max_changes`](crate::Options::max_changes)
    /// reaches.
    pub fn changes_since(&self, index: u64) -> Changes {
        let changes = self.shared.read(|state| state.changes_since(index));
        if changes == Changes::Resync {
            self.shared.counters.resyncs.add(1);
        }
        changes
    }

    /// What became of instances within this time, for doors whose clients do not say what they know. It ends where the
    /// wall clock says; a clock that jumps makes it longer or shorter.
    pub fn changes_within(&self, time: Duration) -> Changes {
        let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let now = self.shared.now();
        let changes = self.shared.read(|state| state.changes_within(ms, now.unix_ms));
        if changes == Changes::Resync {
            self.shared.counters.resyncs.add(1);
        }
        changes
    }

    /// What there is and what was done.
    pub fn stats(&self) -> Stats {
        let counters = &self.shared.counters;
        Stats {
            waiting: self.waiting() as u64,
            registrations: counters.registrations.get(),
            deregistrations: counters.deregistrations.get(),
            renewals: counters.renewals.get(),
            expiries: counters.expiries.get(),
            wakes: counters.wakes.get(),
            missed: counters.missed.get(),
            resyncs: counters.resyncs.get(),
            check_runs: counters.check_runs.get(),
            check_delays: counters.check_delays.get(),
            cache_hits: counters.cache_hits.get(),
            cache_misses: counters.cache_misses.get(),
            refused: counters.refused.get(),
            ..self.shared.read(State::count)
        }
    }
}
