//! Instances: what Consul calls services.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use trellis_core::Status;
use trellis_registry::{CheckStatus, Definition, Entry, Instance, Labels, Tags, Weights};

use super::addresses::{Address, read_addresses};
use super::check::{CheckRow, checks_of, node_checks, worst};
use super::mesh::{Connect, Locality, Proxied};
use super::node::NodeRow;
use crate::answer::bytes_of;
use crate::labels::Meta;
use crate::mesh;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireWeights {
    passing: u32,
    warning: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: &'a Tags,
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tagged_addresses: Option<BTreeMap<&'a str, Address<'a>>>,
    meta: Meta<'a>,
    port: u16,
    weights: WireWeights,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    locality: Option<Locality<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<Proxied>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect: Option<Connect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacenter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modify_index: Option<u64>,
}

impl<'a> Wire<'a> {
    fn new(instance: &'a Instance) -> Self {
        let definition: &Definition = &instance.definition;
        Self {
            kind: Some(mesh::kind_of(definition)),
            id: instance.key.id.as_str(),
            service: definition.service.as_str(),
            tags: &definition.tags,
            address: &definition.host,
            tagged_addresses: Some(read_addresses(&definition.tagged_addresses, definition.port)),
            meta: Meta(&definition.metadata),
            port: definition.port,
            weights: weights(definition.weights),
            enable_tag_override: definition.enable_tag_override,
            locality: Locality::of(definition),
            proxy: Some(Proxied::of(definition)),
            connect: Some(Connect::of(definition)),
            peer_name: Some(""),
            datacenter: None,
            create_index: Some(instance.create_index),
            modify_index: Some(instance.modify_index),
        }
    }
}

fn weights(weights: Weights) -> WireWeights {
    WireWeights { passing: weights.passing, warning: weights.warning }
}

/// An instance within its node, or beside it.
pub(crate) struct NodeService(pub(crate) Arc<Instance>);

impl Serialize for NodeService {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::new(&self.0).serialize(serializer)
    }
}

/// An instance as the agent shows it: without what is empty.
pub(crate) struct AgentService(pub(crate) Arc<Instance>, pub(crate) Arc<str>);

impl Serialize for AgentService {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let full = Wire::new(&self.0);
        let wire = Wire {
            kind: full.kind.filter(|kind| !kind.is_empty()),
            tagged_addresses: full.tagged_addresses.filter(|addresses| !addresses.is_empty()),
            peer_name: None,
            proxy: full.proxy.filter(|proxy| matches!(proxy, Proxied::As(_))),
            connect: full.connect.filter(|connect| connect.native),
            create_index: None,
            modify_index: None,
            datacenter: Some(&self.1),
            ..full
        };
        wire.serialize(serializer)
    }
}

impl AgentService {
    /// The same with a hash of its content, by which a change can be waited for.
    pub(crate) fn with_hash(&self) -> (String, Value) {
        let digest = Sha256::digest(bytes_of(self));
        let start = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let hash = format!("{start:016x}");
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(map) = &mut value {
            map.insert("ContentHash".into(), hash.clone().into());
        }
        (hash, value)
    }
}

/// An instance with its node, flat, as the catalog has it.
pub(crate) struct CatalogRow(pub(crate) Entry, pub(crate) Arc<str>);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FlatWire<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: &'a Labels,
    node_meta: &'a Labels,
    service_kind: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a Tags,
    service_address: &'a str,
    service_tagged_addresses: BTreeMap<&'a str, Address<'a>>,
    service_weights: WireWeights,
    service_meta: Meta<'a>,
    service_port: u16,
    service_enable_tag_override: bool,
    service_proxy: Proxied,
    service_connect: Connect,
    create_index: u64,
    modify_index: u64,
}

impl Serialize for CatalogRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (instance, node) = (&self.0.instance, &self.0.node.definition);
        let definition = &instance.definition;
        let wire = FlatWire {
            id: node.id.as_deref().unwrap_or_default(),
            node: node.name.as_str(),
            address: &node.address,
            datacenter: &self.1,
            tagged_addresses: &node.tagged_addresses,
            node_meta: &node.metadata,
            service_kind: mesh::kind_of(definition),
            service_id: instance.key.id.as_str(),
            service_name: definition.service.as_str(),
            service_tags: &definition.tags,
            service_address: &definition.host,
            service_tagged_addresses: read_addresses(&definition.tagged_addresses, definition.port),
            service_weights: weights(definition.weights),
            service_meta: Meta(&definition.metadata),
            service_port: definition.port,
            service_enable_tag_override: definition.enable_tag_override,
            service_proxy: Proxied::of(definition),
            service_connect: Connect::of(definition),
            create_index: instance.create_index,
            modify_index: instance.modify_index,
        };
        wire.serialize(serializer)
    }
}

/// An instance with its node and all checks that are about it.
pub(crate) struct HealthRow {
    entry: Entry,
    checks: Vec<CheckRow>,
    datacenter: Arc<str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthWire<'a> {
    node: NodeRow,
    service: Wire<'a>,
    checks: &'a [CheckRow],
}

impl HealthRow {
    pub(crate) fn new(entry: Entry, datacenter: Arc<str>) -> Self {
        let mut checks = node_checks(&entry.node);
        checks.extend(checks_of(&entry));
        Self { entry, checks, datacenter }
    }

    /// Whether clients that ask for passing instances get it: all its checks pass, or an operator says that it is UP.
    pub(crate) fn is_passing(&self) -> bool {
        self.entry.is_up()
            && (worst(&self.checks) == CheckStatus::Passing
                || self.entry.instance.override_status == Some(Status::Up))
    }
}

impl Serialize for HealthRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = HealthWire {
            node: NodeRow(self.entry.node.clone(), self.datacenter.clone()),
            service: Wire::new(&self.entry.instance),
            checks: &self.checks,
        };
        wire.serialize(serializer)
    }
}
