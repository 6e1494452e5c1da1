//! `[gateway]`, `[[cluster]]` and `[[route]]`

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HumanDuration, ServiceName};

/// `[gateway]`: the door for clients, and what routes have unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// Address for clients.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Longest wait for an answer to begin.
    pub timeout: HumanDuration,
    /// Longest wait for a connection to an instance.
    pub connect_timeout: HumanDuration,
    /// Largest request body, in bytes.
    pub max_body_bytes: u64,
    /// Largest request head, in bytes.
    #[schemars(range(min = 8192, max = 1_048_576))]
    pub max_header_bytes: u32,
    /// Longest wait for a request head to arrive.
    pub header_timeout: HumanDuration,
    /// Most connections from clients at once; more wait to be accepted.
    #[schemars(range(min = 1))]
    pub max_connections: u32,
    /// Most requests carried at once; more are refused with 503.
    #[schemars(range(min = 1))]
    pub max_requests: u32,
    /// Most idle connections kept to each instance.
    pub max_idle_connections: u32,
    /// Most other instances tried after a connection fails.
    #[schemars(range(max = 10))]
    pub connect_retries: u32,
    /// Longest wait for running requests when stopping.
    pub drain: HumanDuration,
    /// Write a log line for each request.
    pub access_log: bool,
    /// When to stop asking an instance that fails.
    pub breaker: BreakerModel,
}

/// `[gateway.breaker]`: one breaker for each instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerModel {
    /// Failures in a row that open it.
    #[schemars(range(min = 1))]
    pub failures: u32,
    /// How long it stays open before it lets probes through.
    pub open_for: HumanDuration,
    /// Probes at once while half-open.
    #[schemars(range(min = 1))]
    pub probes: u32,
    /// Probes that must succeed to close it.
    #[schemars(range(min = 1))]
    pub successes: u32,
}

/// `[[cluster]]`: fixed addresses to balance over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Name that routes use.
    pub name: ServiceName,
    /// `host:port` of each endpoint.
    #[schemars(length(min = 1))]
    pub endpoints: Vec<String>,
}

/// `[[route]]`: exactly one of `service`, `cluster` and `aggregate` says where the request goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// `/exact/path`, or `/prefix/**` for the prefix itself and everything below it.
    #[schemars(regex(pattern = "^/"))]
    pub path: String,
    /// Methods that are taken; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// A service of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// A `[[cluster]]` of this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ServiceName>,
    /// Path sent on instead; `**` stands for what it matched in `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^/"))]
    pub rewrite: Option<String>,
    /// Longest wait for an answer to begin; `[gateway] timeout` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HumanDuration>,
    /// Largest request body, in bytes; `[gateway] max_body_bytes` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u64>,
    /// Answers from several services at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<Aggregate>,
}

/// `[route.aggregate]`: parts that are fetched in parallel and put under their names into one JSON object.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Aggregate {
    /// Computed members: where they go (`stats.revenue`) and the CEL expression over the parts that gives them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub compute: BTreeMap<String, String>,
    /// What is fetched, by the member it fills.
    #[serde(flatten)]
    pub parts: BTreeMap<String, Part>,
}

/// One part of an aggregation; exactly one of `service` and `cluster`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// A service of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// A `[[cluster]]` of this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ServiceName>,
    /// Path and query to GET; the answer must be JSON.
    #[schemars(regex(pattern = "^/"))]
    pub get: String,
    /// Longest wait for the whole answer; the route's timeout if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HumanDuration>,
    /// Largest answer, in bytes.
    #[serde(default = "default_part_bytes")]
    pub max_bytes: u64,
}

fn default_part_bytes() -> u64 {
    4 << 20
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            timeout: HumanDuration::from_secs(30),
            connect_timeout: HumanDuration::from_secs(2),
            max_body_bytes: 16 << 20,
            max_header_bytes: 64 << 10,
            header_timeout: HumanDuration::from_secs(15),
            max_connections: 20_000,
            max_requests: 10_000,
            max_idle_connections: 128,
            connect_retries: 2,
            drain: HumanDuration::from_secs(15),
            access_log: true,
            breaker: BreakerModel::default(),
        }
    }
}

impl Default for BreakerModel {
    fn default() -> Self {
        Self { failures: 5, open_for: HumanDuration::from_secs(5), probes: 1, successes: 2 }
    }
}
