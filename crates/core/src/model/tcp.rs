//! `[[tcp]]`

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HumanDuration, ServiceName};

/// `[[tcp]]`: a port whose connections are passed on as they are; exactly one of `service` and `cluster`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// Address for clients.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// A service of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// A `[[cluster]]` of this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ServiceName>,
    /// Longest wait for a connection to an instance; the cluster's or `[gateway] connect_timeout` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<HumanDuration>,
    /// Longest time without a byte in either direction; then both sides are closed.
    #[serde(default = "default_idle")]
    pub idle_timeout: HumanDuration,
    /// Most connections at once; more wait to be accepted.
    #[serde(default = "default_connections")]
    #[schemars(range(min = 1))]
    pub max_connections: u32,
}

fn default_idle() -> HumanDuration {
    HumanDuration::from_secs(600)
}

fn default_connections() -> u32 {
    1024
}
