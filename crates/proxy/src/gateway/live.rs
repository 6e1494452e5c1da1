//! A route table with something behind it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use trellis_core::model::{self, ClusterEndpoint};
use trellis_core::{Discovery, Endpoint, EndpointSet, EndpointWatch, Error, InstanceId, ServiceName, codes};
use trellis_net::cluster::ClusterReport;
use trellis_net::{Cluster, ClusterOptions};
use trellis_runtime::Shutdown;

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
    options: Options,
    discovery: Arc<dyn Discovery>,
    current: Mutex<HashMap<Upstream, Arc<Cluster>>>,
    changed: Notify,
}

impl Clusters {
    pub(super) fn new(options: &Options, discovery: Arc<dyn Discovery>) -> Self {
        Self { options: options.clone(), discovery, current: Mutex::default(), changed: Notify::new() }
    }

    /// Finds or makes the cluster of each upstream. If one cannot be made, nothing changes.
    pub(super) fn connect(&self, table: RouteTable) -> Result<Live, Error> {
        let mut current = self.current();
        let cluster = |upstream: &Upstream| match current.get(upstream) {
            Some(known) => Ok(Arc::clone(known)),
            None => self.cluster(upstream, &table.gateway).map(Arc::new),
        };
        let clusters = table.upstreams.iter().map(cluster).collect::<Result<Vec<_>, _>>()?;
        *current = table.upstreams.iter().cloned().zip(clusters.iter().cloned()).collect();
        self.changed.notify_one();
        Ok(Live { table, clusters })
    }

    /// Lets go of services that are about to stop.
    pub(super) fn close_idle(&self) {
        for cluster in self.current().values() {
            cluster.close_idle();
        }
    }

    /// How each cluster of the current table stands, by name.
    pub(super) fn report(&self) -> Vec<ClusterReport> {
        let clusters: Vec<_> = self.current().values().cloned().collect();
        let mut reports: Vec<_> = clusters.iter().map(|cluster| cluster.report()).collect();
        reports.sort_by(|a, b| a.name.cmp(&b.name));
        reports
    }

    /// Watches the health of the clusters of every table until `shutdown`; never ends by itself.
    pub(super) async fn watch_health<T>(&self, shutdown: Shutdown) -> T {
        let mut watching = JoinSet::new();
        loop {
            for cluster in self.current().values() {
                if let Some(watch) = cluster.watch_health(&shutdown) {
                    watching.spawn(watch);
                }
            }
            tokio::select! {
                () = self.changed.notified() => {}
                Some(_) = watching.join_next() => {}
            }
        }
    }

    fn current(&self) -> MutexGuard<'_, HashMap<Upstream, Arc<Cluster>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cluster(&self, upstream: &Upstream, gateway: &model::Gateway) -> Result<Cluster, Error> {
        let directory = &self.options.directory;
        let name = upstream.name();
        let options = ClusterOptions::of(&upstream.settings, gateway, self.options.workers(), directory);
        let options = options.map_err(|error| {
            Error::new(codes::INVALID_MANIFEST, format!("tls of the cluster {name}: {error}")).because(error)
        })?;
        let endpoints = match upstream.source() {
            Source::Service(name) => self.discovery.watch(name),
            Source::Fixed(endpoints) => fixed(name, endpoints),
        };
        Ok(Cluster::new(name.clone(), &endpoints, options))
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
