//! A service as one thing to call: snapshot of its endpoints -> balancer -> breaker -> connection -> request.

mod call;
mod members;
mod target;

use std::time::Duration;

use arc_swap::ArcSwap;
use http::Response;
use trellis_core::model::Gateway;
use trellis_core::{EndpointWatch, InstanceId, ServiceName};
use trellis_resilience::balance::{Balancer, Policy};
use trellis_resilience::breaker::BreakerOptions;

use crate::{Body, Pool};
use members::Members;

/// How a cluster is called.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// How an instance is chosen.
    pub policy: Policy,
    /// When an instance is left alone. Each has a breaker of its own. Only what keeps an answer from coming counts as
    /// a failure (no connection, a broken one, a timeout): an answer, whatever its status, shows that the instance
    /// lives, and a service that says 503 for one operation may serve all others.
    pub breaker: BreakerOptions,
    /// Most other instances that are tried after a connection fails.
    pub connect_retries: u32,
    /// An instance that had less time than this to answer is not blamed for a timeout: a caller that allows a
    /// millisecond must not open a breaker for everybody.
    pub blame_after: Duration,
}

/// Calls a service or a fixed set of addresses. Cheap to read from many tasks; the state of an instance (breaker,
/// load) lives as long as the instance stays in the endpoint set.
pub struct Cluster {
    name: ServiceName,
    endpoints: EndpointWatch,
    pool: Pool,
    options: ClusterOptions,
    balancer: Balancer,
    members: ArcSwap<Members>,
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
    pub fn new(name: ServiceName, endpoints: EndpointWatch, pool: Pool, options: ClusterOptions) -> Self {
        let balancer = Balancer::new(options.policy);
        Self { name, endpoints, pool, options, balancer, members: ArcSwap::default() }
    }

    /// Its name.
    pub fn name(&self) -> &ServiceName {
        &self.name
    }
}

impl From<&Gateway> for ClusterOptions {
    fn from(model: &Gateway) -> Self {
        Self {
            policy: Policy::LeastRequest,
            breaker: BreakerOptions::from(&model.breaker),
            connect_retries: model.connect_retries,
            blame_after: Duration::from_secs(1).min(model.timeout.0),
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
