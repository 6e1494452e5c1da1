//! A service as one thing to call: snapshot of its endpoints -> balancer -> breaker -> connection -> request.

mod attempt;
mod call;
mod exchange;
mod health;
mod learn;
mod members;
mod options;
mod raw;
mod report;
mod request;
mod retry;
mod shared;
mod target;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::Response;
use trellis_core::{EndpointWatch, InstanceId, ServiceName};
use trellis_resilience::{ConcurrencyLimit, RetryBudget, RetryPolicy};
use trellis_runtime::Shutdown;

use crate::Body;
use crate::client::PoolOptions;
use members::Shard;
use report::Counters;
use shared::Known;

pub use attempt::{Attempt, Flight};
pub use call::Call;
pub use health::{HealthOptions, Question, ask};
pub use options::ClusterOptions;
pub use report::{ClusterReport, MemberReport};

/// Calls a service or a fixed set of addresses. The state of an instance (breaker, load, connections) lives as long as
/// the instance stays in the endpoint set.
pub struct Cluster {
    name: ServiceName,
    options: ClusterOptions,
    pool: Arc<PoolOptions>,
    known: Arc<Known>,
    shards: Box<[Shard]>,
    endpoints: EndpointWatch,
    limit: Option<ConcurrencyLimit>,
    budget: RetryBudget,
    counters: Counters,
    is_watched: AtomicBool,
    /// Given when nobody calls it any more.
    gone: Shutdown,
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
        let shard = |_| Shard::new(endpoints.clone(), &options.balancer);
        Self {
            name,
            pool: Arc::new(options.pool.clone()),
            known: Arc::new(Known::new(&options, learn::now())),
            shards: (0..options.workers.max(1)).map(shard).collect(),
            endpoints: endpoints.clone(),
            limit: options.concurrency.map(ConcurrencyLimit::new),
            budget: RetryBudget::new(options.budget),
            counters: Counters::default(),
            is_watched: AtomicBool::new(false),
            gone: Shutdown::new(),
            options,
        }
    }

    /// Its name.
    pub fn name(&self) -> &ServiceName {
        &self.name
    }

    /// When a request is sent again, for callers that have no policy of their own.
    pub fn retry(&self) -> Option<&RetryPolicy> {
        self.options.retry.as_deref()
    }

    /// Closes what is idle, so that a server that waits for its connections can stop.
    pub fn close_idle(&self) {
        self.pools(crate::client::Pool::close_idle);
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

impl Drop for Cluster {
    fn drop(&mut self) {
        self.gone.trigger();
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
