//! `[[cluster]]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AdaptiveConcurrency, BreakerModel, HealthCheck, Outlier, Retry, SlowStart, UpstreamTls};
use crate::{HumanDuration, ServiceName};

/// `[[cluster]]`: what the gateway balances over, and how. Exactly one of `endpoints` and `service`: fixed addresses,
/// or a service of the registry, for which this is the policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Name that routes use.
    pub name: ServiceName,
    /// Fixed addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<ClusterEndpoint>,
    /// A service of the registry. Routes that lead to it directly follow this policy, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// What instances speak.
    #[serde(default)]
    pub protocol: Protocol,
    /// Speak it over TLS; in the clear if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<UpstreamTls>,
    /// How an instance is chosen.
    #[serde(default)]
    pub balance: Balance,
    /// CEL expression over the request: equal keys get the same instance. For `ring_hash` and `maglev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Give a new instance its share of requests little by little; at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<SlowStart>,
    /// When to stop asking an instance that fails; `[gateway.breaker]` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerModel>,
    /// Leave out instances that do worse than the others; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlier: Option<Outlier>,
    /// Ask instances whether they can serve; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
    /// When a request is tried again; `[gateway.retry]` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Longest wait for an answer to begin; `[gateway] timeout` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HumanDuration>,
    /// Longest wait for a connection; `[gateway] connect_timeout` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<HumanDuration>,
    /// Most requests to all instances together at once, more are refused with 503; no limit of its own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_requests: Option<u32>,
    /// Find the number of requests at once that it does best with; not if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive_concurrency: Option<AdaptiveConcurrency>,
    /// Most connections to each instance at once; no limit of its own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_connections_per_endpoint: Option<u32>,
    /// Most idle connections kept to each instance; `[gateway] max_idle_connections` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_idle_connections: Option<u32>,
}

/// One fixed address: `"host:port"`, or a table that says more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ClusterEndpoint {
    /// `host:port`.
    Address(String),
    /// With a weight or a zone.
    Table(EndpointTable),
}

/// One fixed address with what the balancer should know of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointTable {
    /// `host:port`.
    pub address: String,
    /// Share of requests relative to the others; 0 takes none.
    #[serde(default = "one")]
    #[schemars(range(max = 1_000_000))]
    pub weight: u32,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// What instances speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: over TLS as agreed there (ALPN), in the clear without asking first. gRPC needs it.
    Http2,
}

/// How an instance is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Of two random ones the one with fewer requests under way.
    #[default]
    LeastRequest,
    /// One after the other.
    RoundRobin,
    /// Any.
    Random,
    /// Of two random ones the one that is likely to answer sooner: past answers and requests under way.
    PeakEwma,
    /// The same one for the same `hash`; few keys move when instances come and go.
    RingHash,
    /// As `ring_hash`, more even and faster; more keys move.
    Maglev,
}

impl Cluster {
    /// A cluster of this name with every default, and neither endpoints nor a service.
    pub fn new(name: ServiceName) -> Self {
        Self {
            name,
            endpoints: Vec::new(),
            service: None,
            protocol: Protocol::default(),
            tls: None,
            balance: Balance::default(),
            hash: None,
            slow_start: None,
            breaker: None,
            outlier: None,
            health: None,
            retry: None,
            timeout: None,
            connect_timeout: None,
            max_requests: None,
            adaptive_concurrency: None,
            max_connections_per_endpoint: None,
            max_idle_connections: None,
        }
    }
}

impl ClusterEndpoint {
    /// `host:port`.
    pub fn address(&self) -> &str {
        match self {
            Self::Address(address) | Self::Table(EndpointTable { address, .. }) => address,
        }
    }

    /// Share of requests relative to the others.
    pub fn weight(&self) -> u32 {
        match self {
            Self::Address(_) => one(),
            Self::Table(table) => table.weight,
        }
    }

    /// Where it runs, if that is said.
    pub fn zone(&self) -> Option<&str> {
        match self {
            Self::Address(_) => None,
            Self::Table(table) => table.zone.as_deref(),
        }
    }
}

impl Balance {
    /// Whether it needs a `hash`.
    pub fn hashes(self) -> bool {
        matches!(self, Self::RingHash | Self::Maglev)
    }
}

fn one() -> u32 {
    1
}
