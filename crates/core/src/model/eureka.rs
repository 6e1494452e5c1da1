//! `[eureka]`

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::HumanDuration;

/// `[eureka]`: the registry's door for programs that speak to Eureka.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Eureka {
    /// Whether the door is open.
    pub enabled: bool,
    /// Its address.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Largest body of a registration, in bytes.
    pub max_body_bytes: u64,
    /// Most connections at once; more wait to be accepted.
    #[schemars(range(min = 1))]
    pub max_connections: u32,
    /// How far back `apps/delta` reaches; more than the pause between two questions of a client, which is 30 s if
    /// nothing else is set there.
    pub delta_window: HumanDuration,
    /// What the status page says of where this is.
    pub datacenter: String,
}

impl Default for Eureka {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 8761)),
            max_body_bytes: 64 << 10,
            max_connections: 10_000,
            delta_window: HumanDuration::from_secs(180),
            datacenter: "default".into(),
        }
    }
}
