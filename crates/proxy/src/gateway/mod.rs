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
    /// A gateway for `table`, whose services are found through `discovery`.
    pub fn new(options: Options, table: RouteTable, discovery: Arc<dyn Discovery>) -> (Self, Handle) {
        let clusters = Clusters::new(&options, discovery);
        let live = ArcSwap::from_pointee(clusters.connect(table));
        let clock = WallClock::system();
        let metrics =
            Registry::new(MetricsOptions { workers: options.workers(), ..MetricsOptions::default() });
        let stats = (0..options.workers()).map(|_| stats::Counters::default()).collect();
        let shared = Arc::new(Shared { options, clock, live, clusters, metrics, stats });
        (Self { shared: Arc::clone(&shared) }, Handle { shared })
    }

    /// Serves `listener` until `shutdown`, then lets running requests finish for as long as the options say.
    pub async fn run(self, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
        let shared = self.shared;
        let count = shared.options.workers();
        let server = Server::new((), shared.options.serve.clone());
        let mut servers = server.for_workers(count, |index| Door(Worker::new(index, &shared)));
        let served = match (count, servers.pop()) {
            (1, Some(only)) => carry(only, listener, shutdown).await,
            (_, last) => {
                servers.extend(last);
                let listeners = copies(listener, count)?;
                let work = |index: usize| {
                    let (server, listener) = (servers[index].clone(), listeners[index].try_clone());
                    let shutdown = shutdown.clone();
                    move || async move {
                        let listener = listener.and_then(TcpListener::from_std).map_err(cannot_share)?;
                        carry(server, listener, shutdown).await
                    }
                };
                workers::run("proxy", count, work, || shutdown.trigger()).await
            }
        };
        shared.clusters.close_idle();
        served
    }
}

impl Handle {
    /// Swaps the routes. Requests under way finish on the old ones; upstreams that are in both tables keep their
    /// connections, load and breakers.
    pub fn replace(&self, table: RouteTable) {
        self.shared.live.store(Arc::new(self.shared.clusters.connect(table)));
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

/// One worker's part.
async fn carry(server: Server<Door>, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
    let worker = Arc::clone(&server.handler().0);
    tokio::select! {
        served = server.run(listener, shutdown) => served,
        () = worker.sweep() => Ok(()),
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
