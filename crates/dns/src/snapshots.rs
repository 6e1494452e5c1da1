//! What an answer is made from.

use std::sync::Arc;

use trellis_registry::{Catalog, Handle, Name, Namespace, Node, Nodes, ServiceKey, ServiceSnapshot};

/// What Consul's servers are as a service, and so the members of the store here.
const OWN_SERVICE: &str = "consul";

/// Where snapshots come from: the registry, or whatever a test makes up.
pub trait Snapshots {
    /// All instances of a service; none if it is not known.
    fn service(&self, key: &ServiceKey) -> Arc<ServiceSnapshot>;
    /// A node.
    fn node(&self, name: &Name) -> Option<Arc<Node>>;
    /// All nodes.
    fn nodes(&self) -> Arc<Nodes>;
    /// The services of a namespace.
    fn catalog(&self, namespace: &Namespace) -> Arc<Catalog>;
    /// The name of the platform's own node.
    fn own_node(&self) -> &Name;
}

impl Snapshots for Handle {
    fn service(&self, key: &ServiceKey) -> Arc<ServiceSnapshot> {
        let registered = self.snapshot(key);
        if !(key.namespace.is_default() && key.name.as_str().eq_ignore_ascii_case(OWN_SERVICE)) {
            return registered;
        }
        let mut entries = self.member_entries(key);
        entries.extend(registered.entries.iter().cloned());
        Arc::new(ServiceSnapshot { entries, ..ServiceSnapshot::clone(&registered) })
    }

    fn node(&self, name: &Name) -> Option<Arc<Node>> {
        Self::node(self, name).map(|snapshot| snapshot.node.clone())
    }

    fn nodes(&self) -> Arc<Nodes> {
        Self::nodes(self)
    }

    fn catalog(&self, namespace: &Namespace) -> Arc<Catalog> {
        Self::catalog(self, namespace)
    }

    fn own_node(&self) -> &Name {
        Self::own_node(self)
    }
}
