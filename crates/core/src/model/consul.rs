//! `[consul]`: the door that speaks Consul's HTTP API.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::HumanDuration;

/// `[consul]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Consul {
    /// Whether the door is open.
    pub enabled: bool,
    /// Address of the door.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The datacenter that clients are told of; asking for another one is refused.
    #[schemars(length(min = 1, max = 63))]
    pub datacenter: String,
    /// Largest body, in bytes; also of a value and of a transaction.
    #[schemars(range(min = 1024))]
    pub max_body: u64,
    /// Wait of a blocking query that does not say.
    pub default_wait: HumanDuration,
    /// Longest wait of a blocking query; who asks for more gets this.
    pub max_wait: HumanDuration,
    /// Most user events that are kept; the oldest make room.
    pub max_events: u32,
    /// Most connections at once; more wait.
    #[schemars(range(min = 1))]
    pub max_connections: u32,
    /// Whether clients may stop the platform (`PUT /v1/agent/leave`), as they may stop an agent of Consul's.
    pub allow_leave: bool,
}

impl Default for Consul {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 8500)),
            datacenter: "dc1".into(),
            max_body: 512 << 10,
            default_wait: HumanDuration::from_secs(300),
            max_wait: HumanDuration::from_secs(600),
            max_events: 256,
            max_connections: 20_000,
            allow_leave: false,
        }
    }
}
