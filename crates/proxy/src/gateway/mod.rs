//! The gateway: clients on one side, services on the other.

mod aggregate;
mod answer;
mod body;
mod deadline;
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
use trellis_core::{Discovery, Error, codes};
use trellis_net::Server;
use trellis_net::cluster::ClusterReport;
use trellis_runtime::{Shutdown, WallClock, workers};

use crate::Options;
use crate::metrics::{MetricsOptions, Registry};
use crate::table::RouteTable;
use live::{Clusters, Live};
use worker::{Door, Worker};

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
        let shared = self.shared;
        let server = Server::new((), shared.options.serve.clone());
        let stopping = shutdown.clone();
        let serving = async {
            match shared.options.workers() {
                1 => Worker::new(0, &shared).serve(&server, listener, shutdown).await,
                count => {
                    let listeners = copies(listener, count)?;
                    let work = |index: usize| {
                        let (worker, server) = (Worker::new(index, &shared), server.clone());
                        let (listener, shutdown) = (listeners[index].try_clone(), shutdown.clone());
                        move || async move {
                            let listener = listener.and_then(TcpListener::from_std).map_err(cannot_share)?;
                            worker.serve(&server, listener, shutdown).await
                        }
                    };
                    workers::run("proxy", count, work, || shutdown.trigger()).await
                }
            }
        };
        let served = tokio::select! {
            served = serving => served,
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

impl Worker {
    async fn serve(
        self: Arc<Self>,
        server: &Server<()>,
        listener: TcpListener,
        shutdown: Shutdown,
    ) -> Result<(), Error> {
        let served = server.with(Door(Arc::clone(&self)));
        tokio::select! {
            served = served.run(listener, shutdown) => served,
            () = self.sweep() => Ok(()),
        }
    }
}

/// One socket for each worker to accept from; the kernel hands a connection to whoever takes it.
fn copies(listener: TcpListener, count: usize) -> Result<Vec<std::net::TcpListener>, Error> {
    let first = listener.into_std().map_err(cannot_share)?;
    (0..count).map(|_| first.try_clone().map_err(cannot_share)).collect()
}

fn cannot_share(error: std::io::Error) -> Error {
    Error::new(codes::CANNOT_LISTEN, "a listener cannot be shared among the workers").because(error)
}
