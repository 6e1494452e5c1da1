//! The application model: what `trellis.toml` says. Types only; reading, checking and defaults that need the machine
//! are the server's.

mod action;
mod aggregate;
mod cluster;
mod config;
mod consul;
mod dns;
mod edge;
mod eureka;
mod gateway;
mod instances;
mod mesh;
mod module;
mod policy;
mod route;
mod tcp;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use action::{Canary, HeaderEdits, Mirror, Redirect, Respond, Weighted};
pub use aggregate::{Aggregate, Part};
pub use cluster::{Balance, Cluster, ClusterEndpoint, EndpointTable, Protocol};
pub use config::Config;
pub use consul::Consul;
pub use dns::Dns;
pub use edge::{Algorithm, Compression, Cors, Fault, RateLimit};
pub use eureka::Eureka;
pub use gateway::Gateway;
pub use instances::{AdaptiveConcurrency, HealthCheck, Outlier, SlowStart};
pub use mesh::{Mesh, MeshTls};
pub use module::{Defaults, Module, RestartModel, SocketMode};
pub use policy::{BreakerModel, BreakerWindow, Retry, RetryOn};
pub use route::Route;
pub use tcp::Tcp;
pub use tls::{Certificate, Tls, TlsVersion, UpstreamTls};

use crate::{HumanDuration, Phase, ServiceName};

/// A whole `trellis.toml`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "trellis.toml")]
pub struct AppModel {
    /// What the application is called and how it runs.
    pub app: App,
    /// What every module has unless it says otherwise.
    pub defaults: Defaults,
    /// The application's parts, by name.
    pub module: BTreeMap<ServiceName, Module>,
    /// The door for clients.
    pub gateway: Gateway,
    /// The door for operators and for services that register themselves.
    pub admin: Admin,
    /// How long the registry waits.
    pub registry: Registry,
    /// How much configuration is kept, and what seals its secrets.
    pub config: Config,
    /// The registry's door for programs that speak to Eureka.
    pub eureka: Eureka,
    /// The door for programs that find services by DNS.
    pub dns: Dns,
    /// The door that speaks Consul's HTTP API.
    pub consul: Consul,
    /// The proxies beside the instances, in the phase that has them.
    pub mesh: Mesh,
    /// Addresses outside the registry that routes may lead to, and how to balance over them and over services.
    pub cluster: Vec<Cluster>,
    /// What the gateway does with a request. The most specific path wins; among equals, the first.
    pub route: Vec<Route>,
    /// Ports whose connections are passed on as they are.
    pub tcp: Vec<Tcp>,
}

/// `[app]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct App {
    /// Name of the application.
    pub name: ServiceName,
    /// How its modules are run.
    pub phase: Phase,
    /// Where the platform keeps its own state: `sqlite` (a file in the data directory) or a `postgres://` URL.
    pub store: String,
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address of the admin API.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Most connections at once; more wait to be accepted.
    #[schemars(range(min = 1))]
    pub max_connections: u32,
}

/// `[registry]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Registry {
    /// How long an instance that registers itself stays without renewing.
    pub lease: HumanDuration,
    /// How long an instance whose lease ended is still listed, as DOWN, before it is removed.
    pub keep_expired: HumanDuration,
    /// Most instances that are kept; more are refused.
    pub max_instances: u32,
    /// Most overrides that are kept, of instances and services together; more are refused.
    pub max_overrides: u32,
    /// Most requests that wait for a change at once; more are refused.
    pub max_waiters: u32,
    /// Longest that one request waits for a change; who asks for more gets this.
    pub max_wait: HumanDuration,
    /// Name of the platform's own node, as Consul's clients see it: 1 to 128 letters, digits, `-`, `_` and `.`.
    #[schemars(regex(pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"))]
    pub node: String,
    /// Address of the platform's own node: where instances are reached that name no host.
    pub address: String,
    /// Most nodes that are kept; more are refused.
    pub max_nodes: u32,
    /// Most services that have instances; more are refused.
    pub max_services: u32,
    /// Most checks of one instance or node; more are refused.
    pub max_checks: u32,
    /// Most tags of one instance; more are refused.
    pub max_tags: u32,
    /// Most different things that are waited for at once; more are refused.
    pub max_topics: u32,
    /// Most bytes of answers that are kept for those who ask the same.
    pub max_cached_bytes: u32,
    /// Most changes of instances that are kept for clients that ask for differences.
    pub max_changes: u32,
    /// Most active checks that run at once; others wait for their turn.
    pub max_parallel_checks: u32,
    /// Shortest time from one question of an active check to the next; who asks for less gets this.
    pub min_check_interval: HumanDuration,
    /// Whether checks may run commands on this machine.
    pub commands: bool,
    /// Share of a service's leases, in percent, that have to end within `protect_window` to be not believed; 0: never.
    pub protect_percent: u32,
    /// As many leases have to end at least.
    pub protect_min: u32,
    /// The time within which they end.
    pub protect_window: HumanDuration,
    /// For at most so long such instances are held, from the first of them on.
    pub protect_hold: HumanDuration,
}

impl Default for App {
    fn default() -> Self {
        Self { name: "app".parse().expect("a valid name"), phase: Phase::default(), store: "sqlite".into() }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 7700)), max_connections: 12_000 }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            lease: HumanDuration::from_secs(15),
            keep_expired: HumanDuration::from_secs(60),
            max_instances: 100_000,
            max_overrides: 10_000,
            max_waiters: 10_000,
            max_wait: HumanDuration::from_secs(300),
            node: "trellis".into(),
            address: "127.0.0.1".into(),
            max_nodes: 10_000,
            max_services: 20_000,
            max_checks: 32,
            max_tags: 64,
            max_topics: 10_000,
            max_cached_bytes: 64 << 20,
            max_changes: 4_096,
            max_parallel_checks: 64,
            min_check_interval: HumanDuration::from_secs(1),
            commands: false,
            protect_percent: 50,
            protect_min: 3,
            protect_window: HumanDuration::from_secs(30),
            protect_hold: HumanDuration::from_secs(120),
        }
    }
}
