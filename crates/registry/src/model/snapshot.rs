//! What readers get: immutable, shared, made when first asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use trellis_core::Status;

use super::check::{CheckStatus, CheckView};
use super::instance::Instance;
use super::labels::Tags;
use super::names::{InstanceKey, Name, Namespace, ServiceKey};
use super::node::Node;

/// An instance and the node that it is on, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The instance.
    pub instance: Arc<Instance>,
    /// Its node.
    pub node: Arc<Node>,
}

/// All instances of a service at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSnapshot {
    /// The service.
    pub key: ServiceKey,
    /// The index of [`Topic::Service`](crate::Topic::Service) at that moment; at least 1.
    pub index: u64,
    /// What an operator said of the whole service.
    pub override_status: Option<Status>,
    /// In the order of node and id. Empty if the service is not known.
    pub entries: Vec<Entry>,
}

/// A node and all instances on it, of all namespaces.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSnapshot {
    /// The index of [`Topic::Node`](crate::Topic::Node) at that moment.
    pub index: u64,
    /// The node.
    pub node: Arc<Node>,
    /// In the order of namespace and id.
    pub instances: Vec<Arc<Instance>>,
}

/// The services of a namespace at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    /// The namespace.
    pub namespace: Namespace,
    /// The index of [`Topic::Services`](crate::Topic::Services) at that moment.
    pub index: u64,
    /// By name: all tags that some instance has, in order, each once.
    pub services: BTreeMap<Name, Tags>,
}

/// All nodes at one moment, in the order of their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Nodes {
    /// The index of [`Topic::Nodes`](crate::Topic::Nodes) at that moment.
    pub index: u64,
    /// The nodes.
    pub nodes: Vec<Arc<Node>>,
}

/// Some checks at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Checks {
    /// The index of the topic that was asked for.
    pub index: u64,
    /// The checks, in the order of node, owner and id.
    pub checks: Vec<Arc<CheckView>>,
}

/// What became of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was registered.
    Added,
    /// Something of it changed.
    Modified,
    /// It is gone.
    Removed,
}

/// One change of an instance, for doors that hand out differences.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// When, by the registry's index.
    pub index: u64,
    /// When, in Unix milliseconds.
    pub unix_ms: i64,
    /// What became of it.
    pub kind: ChangeKind,
    /// Which one, as it was after the change (or before it was removed).
    pub instance: Arc<Instance>,
}

/// What changed since an index.
#[derive(Debug, Clone, PartialEq)]
pub enum Changes {
    /// These changes, oldest first; only the last of each instance.
    Since(Vec<Change>),
    /// It is too long ago: fetch everything.
    Resync,
}

impl Entry {
    /// Where it is reached: its own host, or that of its node.
    pub fn host(&self) -> &str {
        let own = &*self.instance.definition.host;
        if own.is_empty() { &self.node.definition.address } else { own }
    }

    /// The worst of its checks and its node's, maintenance of either counted as critical.
    pub fn health(&self) -> CheckStatus {
        self.instance.health().max(self.node.health())
    }

    /// Whether it may take traffic.
    pub fn is_up(&self) -> bool {
        self.instance.status == Status::Up
    }

    /// Its share of traffic: the passing or the warning weight.
    pub fn weight(&self) -> u32 {
        let weights = self.instance.definition.weights;
        if self.health() == CheckStatus::Warning { weights.warning } else { weights.passing }
    }

    /// Its identity.
    pub fn key(&self) -> &InstanceKey {
        &self.instance.key
    }
}
