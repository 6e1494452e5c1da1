//! The members of the store as nodes, and as instances of a service that doors may show.

use std::sync::Arc;

use trellis_core::{InstanceId, Status};
use trellis_storage::members::{self, Member};

use super::Handle;
use crate::model::instance::{Definition, Instance};
use crate::model::labels::{Labels, Tags};
use crate::model::names::{InstanceKey, Name, ServiceKey};
use crate::model::node::{Node, NodeRegistration};
use crate::model::snapshot::Entry;
use crate::registration::{Lease, Weights};

/// A process that shares the store, and its node.
#[derive(Debug, Clone)]
pub struct MemberNode {
    /// What it says of itself.
    pub member: Member,
    /// Its node, or one made up from its name and the host of its address if that is not registered (yet).
    pub node: Arc<Node>,
    /// Whether it is this process.
    pub is_own: bool,
    /// Whether it may count itself a member. Others are, as long as they are on the list.
    pub is_live: bool,
}

impl Handle {
    /// Who shares the store, and with it this registry. A member's name is that of its node.
    pub fn members(&self) -> &members::Handle {
        &self.members
    }

    /// All members, in the order of their names and ids.
    pub fn member_nodes(&self) -> Vec<MemberNode> {
        let (_, list) = self.members.list();
        let mut nodes: Vec<_> = list.iter().filter_map(|member| self.member_node(member)).collect();
        nodes.sort_by(|a, b| (a.node.name(), &a.member.node_id).cmp(&(b.node.name(), &b.member.node_id)));
        nodes
    }

    fn member_node(&self, member: &Member) -> Option<MemberNode> {
        let is_own = member.node_id == *self.members.node_id();
        let name = if is_own { Some(self.own_node().clone()) } else { member.name.parse().ok() };
        // One whose name is none is told of by its id, which always is one.
        let name = name.or_else(|| member.node_id.parse().ok())?;
        let known = self.node(&name).map(|snapshot| snapshot.node.clone());
        let node = known.unwrap_or_else(|| Arc::new(made_up(name, &member.address)));
        let is_live = !is_own || self.members.is_live();
        Some(MemberNode { member: member.clone(), node, is_own, is_live })
    }

    /// All members as instances of a service, one on each of their nodes. The registry has no such service: a door whose
    /// clients look for the platform among its services shows it to them. They have no port, since what members say to
    /// each other is not for those whom a catalog leads there.
    pub fn member_entries(&self, service: &ServiceKey) -> Vec<Entry> {
        // A name that is no id has none.
        let Ok(id) = service.name.as_str().parse::<InstanceId>() else { return Vec::new() };
        self.member_nodes().into_iter().map(|known| known.entry(service, id.clone())).collect()
    }
}

impl MemberNode {
    fn entry(self, service: &ServiceKey, id: InstanceId) -> Entry {
        let definition = Definition {
            service: service.name.clone(),
            host: "".into(),
            port: 0,
            tags: Tags::default(),
            metadata: Labels::default(),
            weights: Weights::default(),
            zone: None,
            version: None,
            tagged_addresses: Labels::default(),
            enable_tag_override: false,
            lease: Lease::Managed,
        };
        let node = self.node;
        let reported = if self.is_live { Status::Up } else { Status::Down };
        let instance = Instance {
            key: InstanceKey { namespace: service.namespace.clone(), node: node.name().clone(), id },
            definition: Arc::new(definition),
            status: if node.maintenance.is_some() { Status::OutOfService } else { reported },
            reported,
            override_status: None,
            maintenance: None,
            checks: Arc::default(),
            expired: false,
            protected: false,
            create_index: node.create_index,
            modify_index: node.modify_index,
            registered_unix_ms: self.member.started_unix_ms,
            since_unix_ms: self.member.started_unix_ms,
        };
        Entry { instance: Arc::new(instance), node }
    }
}

fn made_up(name: Name, url: &str) -> Node {
    Node {
        definition: Arc::new(NodeRegistration::new(name, host(url))),
        is_own: false,
        checks: Arc::default(),
        maintenance: None,
        create_index: 1,
        modify_index: 1,
    }
}

/// The host of a URL; of a text that is none, as much as looks like one.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let address = rest.split('/').next().unwrap_or_default();
    match address.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => address.rsplit_once(':').map_or(address, |(host, _)| host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address_is_found() {
        for (url, wanted) in [
            ("http://127.0.0.1:7700", "127.0.0.1"),
            ("https://[::1]:7700/", "::1"),
            ("http://somewhere/x", "somewhere"),
            ("", ""),
        ] {
            assert_eq!(host(url), wanted, "{url}");
        }
    }
}
