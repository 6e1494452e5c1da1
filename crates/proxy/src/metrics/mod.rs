//! What happens, in numbers: requests, errors and durations of routes, clusters and endpoints, for Prometheus.
//!
//! A [`Registry`] gives out handles by name, when routes are compiled. They are kept beside what
//! they count, so that counting looks nothing up. Whoever scrapes pays for adding up and for the text.

mod cells;
mod endpoints;
mod gateway;
mod handles;
mod histogram;
mod labels;
mod render;
mod series;
#[cfg(test)]
mod tests;
mod text;

use std::sync::{Arc, Mutex, PoisonError};

use trellis_net::cluster::ClusterReport;

use render::Scrape;
use series::Series;

pub use gateway::GatewayMetrics;
pub use handles::{ClusterMetrics, LimitMetrics, RouteMetrics};
pub use labels::{Outcome, StatusClass};
pub use text::{CONTENT_TYPE, Family, Labels, Text};

/// Bounds of a [`Registry`]. What finds no place is counted as `other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsOptions {
    /// Threads that count. Each has cache lines of its own: 256 bytes for a route or cluster, 128 for an endpoint or
    /// limit.
    pub workers: usize,
    /// Most routes with counts of their own.
    pub max_routes: usize,
    /// Most clusters with counts of their own.
    pub max_clusters: usize,
    /// Most limits with counts of their own.
    pub max_limits: usize,
}

/// All counts of a process. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    workers: usize,
    gateway: GatewayMetrics,
    /// Never locked while a request is carried.
    named: Mutex<Named>,
}

#[derive(Debug)]
struct Named {
    routes: Series<1, RouteMetrics>,
    clusters: Series<1, ClusterMetrics>,
    limits: Series<1, LimitMetrics>,
}

impl Registry {
    /// A registry without counts.
    pub fn new(options: MetricsOptions) -> Self {
        let named = Named {
            routes: Series::new(options.max_routes),
            clusters: Series::new(options.max_clusters),
            limits: Series::new(options.max_limits),
        };
        let gateway = GatewayMetrics::new(options.workers);
        Self { shared: Arc::new(Shared { workers: options.workers, gateway, named: Mutex::new(named) }) }
    }

    /// The counts of the gateway as a whole.
    pub fn gateway(&self) -> &GatewayMetrics {
        &self.shared.gateway
    }

    /// The counts of a route. Held for as long as the route is in force; after a swap, the same name goes on counting.
    pub fn route(&self, name: &str) -> Arc<RouteMetrics> {
        self.named(|named, workers| named.routes.get([name], || RouteMetrics::new(workers)))
    }

    /// The counts of a cluster.
    pub fn cluster(&self, name: &str) -> Arc<ClusterMetrics> {
        self.named(|named, workers| named.clusters.get([name], || ClusterMetrics::new(workers)))
    }

    /// The counts of a limit, by a name that the documentation gives it.
    pub fn limit(&self, name: &str) -> Arc<LimitMetrics> {
        self.named(|named, workers| named.limits.get([name], || LimitMetrics::new(workers)))
    }

    /// Everything, as the text of [`CONTENT_TYPE`]. What nobody holds any more is in it one last time. What is known of
    /// instances is not counted here; it comes with `clusters`.
    pub fn render(&self, clusters: &[ClusterReport]) -> String {
        let scrape = self.named(|named, _| Scrape {
            routes: named.routes.scrape(),
            clusters: named.clusters.scrape(),
            limits: named.limits.scrape(),
            overflowed: [
                ("route", named.routes.overflowed()),
                ("cluster", named.clusters.overflowed()),
                ("limit", named.limits.overflowed()),
            ],
        });
        // Written after the lock is gone: a long text must not hold up a swap.
        render::render(&self.shared.gateway, &scrape, clusters)
    }

    fn named<T>(&self, with: impl FnOnce(&mut Named, usize) -> T) -> T {
        let mut named = self.shared.named.lock().unwrap_or_else(PoisonError::into_inner);
        with(&mut named, self.shared.workers)
    }
}

impl Default for MetricsOptions {
    fn default() -> Self {
        Self { workers: 1, max_routes: 2000, max_clusters: 1000, max_limits: 200 }
    }
}
