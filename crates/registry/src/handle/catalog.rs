//! Reading: immutable snapshots, shared by all who ask.

use std::sync::Arc;

use trellis_core::InstanceId;

use super::Handle;
use crate::model::check::{CheckStatus, CheckView};
use crate::model::names::{CheckKey, InstanceKey, Name, Namespace, ServiceKey};
use crate::model::snapshot::{Catalog, Changes, Checks, Entry, NodeSnapshot, Nodes, ServiceSnapshot};
use crate::stats::Stats;

impl Handle {
    /// The name of the platform's own node.
    pub fn own_node(&self) -> &Name {
        unimplemented!()
    }

    /// The key of an instance of the default namespace on the platform's own node.
    pub fn own_key(&self, id: &InstanceId) -> InstanceKey {
        InstanceKey { namespace: Namespace::default(), node: self.own_node().clone(), id: id.clone() }
    }

    /// All instances of a service, whatever their status. Cheap: one lookup. Empty, with an index all the same, if the
    /// service is not known.
    pub fn snapshot(&self, _service: &ServiceKey) -> Arc<ServiceSnapshot> {
        unimplemented!()
    }

    /// One instance and its node.
    pub fn find(&self, _key: &InstanceKey) -> Option<Entry> {
        unimplemented!()
    }

    /// The services of a namespace, and their tags.
    pub fn catalog(&self, _namespace: &Namespace) -> Arc<Catalog> {
        unimplemented!()
    }

    /// The namespaces that have instances; the default one always.
    pub fn namespaces(&self) -> Vec<Namespace> {
        unimplemented!()
    }

    /// All nodes.
    pub fn nodes(&self) -> Arc<Nodes> {
        unimplemented!()
    }

    /// A node and all that is on it.
    pub fn node(&self, _name: &Name) -> Option<Arc<NodeSnapshot>> {
        unimplemented!()
    }

    /// All checks of all namespaces with this status, or all checks.
    pub fn checks_in_state(&self, _status: Option<CheckStatus>) -> Checks {
        unimplemented!()
    }

    /// The checks of a node, and of the instances on it.
    pub fn checks_of_node(&self, _node: &Name) -> Checks {
        unimplemented!()
    }

    /// The checks of a service's instances, without those of their nodes.
    pub fn checks_of_service(&self, _service: &ServiceKey) -> Checks {
        unimplemented!()
    }

    /// One check.
    pub fn check(&self, _key: &CheckKey) -> Option<Arc<CheckView>> {
        unimplemented!()
    }

    /// The check with this id on a node, be it the node's or one of an instance's: that of the node first, then the
    /// instances in the order of their keys.
    pub fn find_check(&self, _namespace: &Namespace, _node: &Name, _id: &str) -> Option<Arc<CheckView>> {
        unimplemented!()
    }

    /// What became of instances since an index, as far back as [`Options::max_changes`](crate::Options::max_changes)
    /// reaches.
    pub fn changes_since(&self, _index: u64) -> Changes {
        unimplemented!()
    }

    /// What there is and what was done.
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }
}
