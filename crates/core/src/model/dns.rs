//! `[dns]`

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::HumanDuration;

/// `[dns]`: services, nodes and their addresses by DNS, under the names that Consul gives them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Whether the door is open.
    pub enabled: bool,
    /// Address for questions, over UDP and TCP.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// What all names end with.
    pub domain: String,
    /// What this platform is called in names that say where to look.
    pub datacenter: String,
    /// How long an answer about a node may be kept.
    pub node_ttl: HumanDuration,
    /// How long an answer about a service may be kept.
    pub service_ttl: HumanDuration,
    /// The same for single services, by name.
    pub service_ttls: BTreeMap<String, HumanDuration>,
    /// How long it may be kept that there is nothing.
    pub negative_ttl: HumanDuration,
    /// Leave out instances with a warning, too.
    pub only_passing: bool,
    /// Most answers over UDP to those who do not say how much they can take; 0 is as many as fit.
    pub udp_answer_limit: u32,
    /// Largest answer over UDP, in bytes, whatever is asked for.
    #[schemars(range(min = 512, max = 4096))]
    pub max_udp_bytes: u16,
    /// Tasks that read and answer datagrams.
    #[schemars(range(min = 1, max = 64))]
    pub udp_tasks: u32,
    /// Most connections at once; more are closed.
    #[schemars(range(min = 1))]
    pub max_connections: u32,
    /// Longest wait for the next question on a connection, and for an answer to be taken.
    pub idle_timeout: HumanDuration,
    /// Most instances and nodes that are looked at for one answer.
    #[schemars(range(min = 1))]
    pub max_examined: u32,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 8600)),
            domain: "consul".into(),
            datacenter: "dc1".into(),
            node_ttl: HumanDuration::from_secs(0),
            service_ttl: HumanDuration::from_secs(0),
            service_ttls: BTreeMap::new(),
            negative_ttl: HumanDuration::from_secs(0),
            only_passing: false,
            udp_answer_limit: 0,
            max_udp_bytes: 1232,
            udp_tasks: 2,
            max_connections: 256,
            idle_timeout: HumanDuration::from_secs(10),
            max_examined: 20_000,
        }
    }
}
