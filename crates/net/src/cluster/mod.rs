//! A service as one thing to call: snapshot of its endpoints -> balancer -> breaker -> connection -> request.

mod call;
mod members;
mod raw;
mod request;
mod target;

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use trellis_core::model::Gateway;
use trellis_core::{EndpointWatch, InstanceId, ServiceName};
use trellis_resilience::breaker::BreakerOptions;
use trellis_resilience::{BalancerOptions, Policy};

use crate::Body;
use crate::client::PoolOptions;
use members::{Known, Shard};

pub use call::Flight;
pub use members::Attempt;

/// How a cluster is called.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// How an instance is chosen.
    pub balancer: BalancerOptions,
    /// When an instance is left alone. Each has a breaker of its own. Only what keeps an answer from coming counts as
    /// a failure (no connection, a broken one, a timeout): an answer, whatever its status, shows that the instance
    /// lives, and a service that says 503 for one operation may serve all others.
    pub breaker: BreakerOptions,
    /// Most other instances that are tried after a connection fails.
    pub connect_retries: u32,
    /// An instance that had less time than this to answer is not blamed for a timeout: a caller that allows a
    /// millisecond must not open a breaker for everybody.
    pub blame_after: Duration,
    /// Connections to an instance.
    pub pool: PoolOptions,
    /// Threads that call it, each with connections of its own.
    pub workers: usize,
}

/// Calls a service or a fixed set of addresses. The state of an instance (breaker, load, connections) lives as long as
/// the instance stays in the endpoint set.
pub struct Cluster {
    name: ServiceName,
    options: ClusterOptions,
    pool: Arc<PoolOptions>,
    known: Known,
    shards: Box<[Shard]>,
}

/// A response and how it was got.
#[derive(Debug)]
pub struct Answer {
    /// Whatever the instance said.
    pub response: Response<Body>,
    /// Who said it.
    pub instance: InstanceId,
    /// Connections tried, 1 or more.
    pub attempts: u32,
}

impl Cluster {
    /// A cluster over what `endpoints` shows. `name` appears in errors.
    pub fn new(name: ServiceName, endpoints: &EndpointWatch, options: ClusterOptions) -> Self {
        let shards =
            (0..options.workers.max(1)).map(|_| Shard::new(endpoints.clone(), &options.balancer)).collect();
        Self { name, pool: Arc::new(options.pool.clone()), known: Known::default(), shards, options }
    }

    /// Its name.
    pub fn name(&self) -> &ServiceName {
        &self.name
    }

    /// Closes what is idle, so that a server that waits for its connections can stop.
    pub fn close_idle(&self) {
        self.pools(|pool| pool.close_idle());
    }

    /// Closes connections of `worker` that have been idle for too long, or were closed by the other side.
    pub fn sweep(&self, worker: usize) {
        for member in &self.shard(worker).current().list {
            member.pool.sweep();
        }
    }

    /// Idle connections now.
    pub fn idle_connections(&self) -> usize {
        let mut idle = 0;
        self.pools(|pool| idle += pool.idle_connections());
        idle
    }

    fn pools(&self, mut each: impl FnMut(&crate::client::Pool)) {
        for shard in &self.shards {
            for member in &shard.current().list {
                each(&member.pool);
            }
        }
    }

    /// A worker that is not known shares with the first.
    fn shard(&self, worker: usize) -> &Shard {
        self.shards.get(worker).unwrap_or(&self.shards[0])
    }
}

impl From<&Gateway> for ClusterOptions {
    fn from(model: &Gateway) -> Self {
        Self {
            balancer: BalancerOptions { policy: Policy::LeastRequest, ..BalancerOptions::default() },
            breaker: BreakerOptions::from(&model.breaker),
            connect_retries: model.connect_retries,
            blame_after: Duration::from_secs(1).min(model.timeout.0),
            pool: PoolOptions {
                connect_timeout: model.connect_timeout.into(),
                max_idle: model.max_idle_connections as usize,
                ..PoolOptions::default()
            },
            workers: 1,
        }
    }
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self::from(&Gateway::default())
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
