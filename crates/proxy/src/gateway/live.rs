//! A route table with something behind it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use trellis_core::model::ClusterEndpoint;
use trellis_core::{Discovery, Endpoint, EndpointSet, EndpointWatch, InstanceId, ServiceName};
use trellis_net::{Cluster, ClusterOptions};

use crate::Options;
use crate::table::{RouteTable, Source, Upstream};

/// What one request sees from its beginning to its end.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) table: RouteTable,
    /// By the index that routes hold.
    pub(super) clusters: Vec<Arc<Cluster>>,
}

/// The clusters of the current table, from which the next one takes those it has as well.
pub(super) struct Clusters {
    options: ClusterOptions,
    discovery: Arc<dyn Discovery>,
    current: Mutex<HashMap<Upstream, Arc<Cluster>>>,
}

impl Clusters {
    pub(super) fn new(options: &Options, discovery: Arc<dyn Discovery>) -> Self {
        Self { options: options.cluster(), discovery, current: Mutex::default() }
    }

    /// Finds or makes the cluster of each upstream.
    pub(super) fn connect(&self, table: RouteTable) -> Live {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = |upstream: &Upstream| {
            let known = current.get(upstream).cloned();
            known.unwrap_or_else(|| Arc::new(self.cluster(upstream)))
        };
        let clusters: Vec<_> = table.upstreams.iter().map(cluster).collect();
        *current = table.upstreams.iter().cloned().zip(clusters.iter().cloned()).collect();
        Live { table, clusters }
    }

    /// Lets go of services that are about to stop.
    pub(super) fn close_idle(&self) {
        for cluster in self.current.lock().unwrap_or_else(PoisonError::into_inner).values() {
            cluster.close_idle();
        }
    }

    fn cluster(&self, upstream: &Upstream) -> Cluster {
        let endpoints = match upstream.source() {
            Source::Service(name) => self.discovery.watch(name),
            Source::Fixed(endpoints) => fixed(upstream.name(), endpoints),
        };
        Cluster::new(upstream.name().clone(), &endpoints, self.options.clone())
    }
}

/// A watch that never changes; it stays valid without its sender.
fn fixed(name: &ServiceName, endpoints: &[ClusterEndpoint]) -> EndpointWatch {
    let endpoint = |(index, endpoint): (usize, &ClusterEndpoint)| {
        let id: InstanceId = format!("{name}-{}", index + 1).parse().ok()?;
        let (authority, zone) = (endpoint.address().into(), endpoint.zone().map(Into::into));
        Some(Endpoint { id, authority, weight: endpoint.weight(), zone })
    };
    let endpoints = endpoints.iter().enumerate().filter_map(endpoint).collect();
    watch::channel(Arc::new(EndpointSet { revision: 1, endpoints })).1
}

impl fmt::Debug for Clusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clusters").field("options", &self.options).finish_non_exhaustive()
    }
}
