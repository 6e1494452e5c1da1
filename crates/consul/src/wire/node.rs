//! Nodes.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use trellis_registry::{Labels, Node};

/// A node in a datacenter.
pub(crate) struct NodeRow(pub(crate) Arc<Node>, pub(crate) Arc<str>);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: &'a Labels,
    meta: &'a Labels,
    create_index: u64,
    modify_index: u64,
}

impl Serialize for NodeRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let node = &self.0;
        let definition = &node.definition;
        let wire = Wire {
            id: definition.id.as_deref().unwrap_or_default(),
            node: definition.name.as_str(),
            address: &definition.address,
            datacenter: &self.1,
            tagged_addresses: &definition.tagged_addresses,
            meta: &definition.metadata,
            create_index: node.create_index,
            modify_index: node.modify_index,
        };
        wire.serialize(serializer)
    }
}
