//! The gateway: clients on one side, services on the other.

mod aggregate;
mod answer;
mod body;
mod deadline;
mod doors;
mod forward;
mod incoming;
mod live;
mod record;
mod stats;
mod upgrade;
mod worker;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use trellis_core::{Discovery, Error};
use trellis_net::cluster::ClusterReport;
use trellis_runtime::{Shutdown, WallClock, workers};

use crate::Options;
use crate::metrics::{MetricsOptions, Registry};
use crate::table::RouteTable;
use live::{Clusters, Live};
use worker::Worker;

pub use doors::{Doors, TlsDoor};
pub use stats::Stats;

/// The door for clients: takes requests on a listener and leads them where the route table says.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
}

/// Changes and watches a running [`Gateway`].
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What all workers share.
#[derive(Debug)]
struct Shared {
    options: Options,
    clock: WallClock,
    live: ArcSwap<Live>,
    clusters: Clusters,
    metrics: Registry,
    /// One for each worker.
    stats: Box<[stats::Counters]>,
}

impl Gateway {
    /// A gateway for `table`, whose services are found through `discovery`. Fails if a cluster's TLS files cannot be
    /// used.
    pub fn new(
        options: Options,
        table: RouteTable,
        discovery: Arc<dyn Discovery>,
    ) -> Result<(Self, Handle), Error> {
        let clusters = Clusters::new(&options, discovery);
        let live = ArcSwap::from_pointee(clusters.connect(table)?);
        let clock = WallClock::system();
        let metrics =
            Registry::new(MetricsOptions { workers: options.workers(), ..MetricsOptions::default() });
        let stats = (0..options.workers()).map(|_| stats::Counters::default()).collect();
        let shared = Arc::new(Shared { options, clock, live, clusters, metrics, stats });
        Ok((Self { shared: Arc::clone(&shared) }, Handle { shared }))
    }

    /// Serves `listener` until `shutdown`, then lets running requests finish for as long as the options say.
    pub async fn run(self, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
        self.serve(Doors { plain: listener, tls: None, tcp: Vec::new() }, shutdown).await
    }

    /// The same for all that a gateway may listen on.
    pub async fn serve(self, doors: Doors, shutdown: Shutdown) -> Result<(), Error> {
        let shared = self.shared;
        let stopping = shutdown.clone();
        let certificates = doors.tls.as_ref().map(|door| (Arc::clone(&door.tls), door.reload));
        let own: Vec<_> = (0..shared.options.workers()).map(|index| Worker::new(index, &shared)).collect();
        let mut shares = doors.shares(&own)?;
        let served = async {
            match (shares.pop(), own.as_slice()) {
                (Some(only), [worker]) => only.run(Arc::clone(worker), shutdown).await,
                (last, _) => {
                    shares.extend(last);
                    let work = |(worker, share): (Arc<Worker>, doors::Share)| {
                        let shutdown = shutdown.clone();
                        move || share.run(worker, shutdown)
                    };
                    let works = own.into_iter().zip(shares).map(work).collect();
                    workers::run("proxy", works, || shutdown.trigger()).await
                }
            }
        };
        let watching = async {
            match certificates {
                Some((tls, every)) => doors::reload(tls, every).await,
                None => std::future::pending().await,
            }
        };
        let served = tokio::select! {
            served = served => served,
            () = watching => Ok(()),
            never = shared.clusters.watch_health(stopping) => never,
        };
        shared.clusters.close_idle();
        served
    }
}

impl Handle {
    /// Swaps the routes. Requests under way finish on the old ones; upstreams that are in both tables keep their
    /// connections, load and breakers. Nothing changes if a cluster's TLS files cannot be used.
    pub fn replace(&self, table: RouteTable) -> Result<(), Error> {
        self.shared.live.store(Arc::new(self.shared.clusters.connect(table)?));
        Ok(())
    }

    /// How each cluster of the current table stands.
    pub fn clusters(&self) -> Vec<ClusterReport> {
        self.shared.clusters.report()
    }

    /// What has happened since the start, in the text format of Prometheus.
    pub fn metrics(&self) -> String {
        self.shared.metrics.render()
    }

    /// What has happened since the start.
    pub fn stats(&self) -> Stats {
        stats::read(&self.shared.stats)
    }
}
