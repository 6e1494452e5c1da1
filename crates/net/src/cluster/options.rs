//! How a cluster is called.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use trellis_core::model::{self, Gateway};
use trellis_resilience::{
    BalancerOptions, BreakerOptions, ConcurrencyOptions, OutlierOptions, Policy, RetryBudgetOptions,
    RetryPolicy, SlowStart,
};
use trellis_runtime::WallClock;

use super::HealthOptions;
use crate::client::{PoolOptions, Protocol};
use crate::tls::{CertifiedFiles, ClientTls, ClientTlsOptions, TlsError};

/// How a cluster is called.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// How an instance is chosen.
    pub balancer: BalancerOptions,
    /// How an instance gets its share that comes when others are there already; all of it at once if absent.
    pub slow_start: Option<SlowStart>,
    /// When an instance is left alone. Each has a breaker of its own. Only what keeps an answer from coming counts as
    /// a failure (no connection, a broken one, a timeout): an answer, whatever its status, shows that the instance
    /// lives, and a service that says 503 for one operation may serve all others.
    pub breaker: BreakerOptions,
    /// When an instance is left out that does worse than the others; here an answer counts by its status.
    pub outlier: Option<OutlierOptions>,
    /// Whether instances are asked how they are; see [`Cluster::watch_health`](super::Cluster::watch_health).
    pub health: Option<HealthOptions>,
    /// Most requests at once, to all instances together.
    pub concurrency: Option<ConcurrencyOptions>,
    /// Most connections to each instance, over all workers.
    pub max_connections: Option<u32>,
    /// Most other instances that are tried after a connection fails.
    pub connect_retries: u32,
    /// When a request is sent again, for callers that have no policy of their own.
    pub retry: Option<Arc<RetryPolicy>>,
    /// How many requests may be sent again, whatever policy they have.
    pub budget: RetryBudgetOptions,
    /// An instance that had less time than this to answer is not blamed for a timeout: a caller that allows a
    /// millisecond must not open a breaker for everybody.
    pub blame_after: Duration,
    /// Connections to an instance.
    pub pool: PoolOptions,
    /// Tells the date to wait for when an answer asks for one without saying when it was sent.
    pub clock: WallClock,
    /// Threads that call it, each with connections of its own.
    pub workers: usize,
}

impl ClusterOptions {
    /// What `cluster` says; what it leaves unsaid is the gateway's. Relative paths of TLS files start from `directory`.
    pub fn of(
        cluster: &model::Cluster,
        gateway: &Gateway,
        workers: usize,
        directory: &Path,
    ) -> Result<Self, TlsError> {
        let common = Self::from(gateway);
        let timeout = cluster.timeout.unwrap_or(gateway.timeout);
        let protocol = match cluster.protocol {
            model::Protocol::Http1 => Protocol::Http1,
            model::Protocol::Http2 => Protocol::Http2,
        };
        let tls = cluster.tls.as_ref().map(|tls| ClientTls::load(&secured(tls, protocol, directory)));
        let retry = cluster.retry.as_ref();
        Ok(Self {
            balancer: BalancerOptions { policy: cluster.balance.into(), ..common.balancer },
            slow_start: cluster.slow_start.as_ref().map(SlowStart::from),
            breaker: cluster.breaker.as_ref().map_or(common.breaker, BreakerOptions::from),
            outlier: cluster.outlier.as_ref().map(OutlierOptions::from),
            health: cluster.health.as_ref().and_then(HealthOptions::of),
            concurrency: ConcurrencyOptions::of(cluster.max_requests, cluster.adaptive_concurrency.as_ref()),
            max_connections: cluster.max_connections_per_endpoint,
            connect_retries: common.connect_retries,
            retry: retry.map_or(common.retry, policy),
            budget: retry.map_or(common.budget, RetryBudgetOptions::from),
            blame_after: Self::blame_after(timeout.into()),
            pool: PoolOptions {
                protocol,
                tls: tls.transpose()?,
                connect_timeout: cluster.connect_timeout.map_or(common.pool.connect_timeout, Into::into),
                max_idle: cluster.max_idle_connections.map_or(common.pool.max_idle, |most| most as usize),
                ..common.pool
            },
            clock: common.clock,
            workers,
        })
    }

    /// The [`blame_after`](Self#structfield.blame_after) of a cluster that is given `timeout` to answer.
    pub fn blame_after(timeout: Duration) -> Duration {
        Duration::from_secs(1).min(timeout)
    }
}

impl From<&Gateway> for ClusterOptions {
    fn from(model: &Gateway) -> Self {
        Self {
            balancer: BalancerOptions {
                policy: Policy::LeastRequest,
                zone: model.zone.as_deref().map(Box::from),
                ..BalancerOptions::default()
            },
            slow_start: None,
            breaker: BreakerOptions::from(&model.breaker),
            outlier: None,
            health: None,
            concurrency: None,
            max_connections: None,
            connect_retries: model.connect_retries,
            retry: model.retry.as_ref().and_then(policy),
            budget: model.retry.as_ref().map_or_else(RetryBudgetOptions::default, RetryBudgetOptions::from),
            blame_after: Self::blame_after(model.timeout.into()),
            pool: PoolOptions {
                connect_timeout: model.connect_timeout.into(),
                max_idle: model.max_idle_connections as usize,
                ..PoolOptions::default()
            },
            clock: WallClock::system(),
            workers: 1,
        }
    }
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self::from(&Gateway::default())
    }
}

/// None if it says that nothing is sent again.
fn policy(model: &model::Retry) -> Option<Arc<RetryPolicy>> {
    (model.max > 0).then(|| Arc::new(RetryPolicy::from(model)))
}

fn secured(model: &model::UpstreamTls, protocol: Protocol, directory: &Path) -> ClientTlsOptions {
    let path = |text: &String| directory.join(text);
    let identity = model.cert.as_ref().zip(model.key.as_ref());
    ClientTlsOptions {
        ca: model.ca.as_ref().map(path),
        server_name: model.server_name.clone(),
        identity: identity.map(|(cert, key)| CertifiedFiles { certificate: path(cert), key: path(key) }),
        insecure: model.insecure,
        http2: protocol == Protocol::Http2,
    }
}
