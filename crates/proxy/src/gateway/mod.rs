//! The gateway: clients on one side, services on the other.

mod aggregate;
mod answer;
mod body;
mod counter;
mod deadline;
mod finish;
mod forward;
mod hits;
mod incoming;
mod limits;
mod live;
mod mirror;
mod preflight;
mod record;
mod refusal;
mod state;
mod stats;
mod strike;
mod upgrade;
mod worker;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use trellis_core::{Discovery, Error, codes};
use trellis_net::Server;
use trellis_runtime::{Shutdown, WallClock, workers};

use crate::Options;
use crate::metrics::{MetricsOptions, Registry};
use crate::table::RouteTable;
use hits::Hits;
use live::Clusters;
use state::{InForce, States};
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
    live: ArcSwap<InForce>,
    /// Of the table in force; the first is 1.
    revision: AtomicU64,
    clusters: Clusters,
    states: States,
    metrics: Registry,
    hits: Hits,
    /// One for each worker.
    stats: Box<[stats::Counters]>,
}

impl Gateway {
    /// A gateway for `table`, whose services are found through `discovery`.
    pub fn new(options: Options, table: RouteTable, discovery: Arc<dyn Discovery>) -> (Self, Handle) {
        let start = Instant::now();
        let clusters = Clusters::new(&options, discovery);
        let clock = WallClock::system();
        let metrics =
            Registry::new(MetricsOptions { workers: options.workers(), ..MetricsOptions::default() });
        let stats = (0..options.workers()).map(|_| stats::Counters::default()).collect();
        let (states, hits) = (States::new(&metrics), Hits::new(&metrics));
        let live = ArcSwap::from_pointee(InForce::new(clusters.connect(table), &states));
        let revision = AtomicU64::new(0);
        let shared =
            Arc::new(Shared { options, clock, live, revision, clusters, states, metrics, hits, stats });
        shared.swapped(start);
        (Self { shared: Arc::clone(&shared) }, Handle { shared })
    }

    /// Serves `listener` until `shutdown`, then lets running requests finish for as long as the options say.
    pub async fn run(self, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
        let shared = self.shared;
        let server = Server::new((), shared.options.serve.clone());
        let served = match shared.options.workers() {
            1 => Worker::new(0, &shared).serve(&server, listener, shutdown).await,
            count => {
                // Taken out one by one: what is kept here would go on listening while the workers drain.
                let listeners = Mutex::new(copies(listener, count)?);
                let work = |index: usize| {
                    let (worker, server) = (Worker::new(index, &shared), server.clone());
                    let listener = listeners.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let shutdown = shutdown.clone();
                    move || async move {
                        let listener = listener.ok_or_else(|| std::io::ErrorKind::NotFound.into());
                        let listener = listener.and_then(TcpListener::from_std).map_err(cannot_share)?;
                        worker.serve(&server, listener, shutdown).await
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
    /// connections, load and breakers, and equal limits of equal paths what they have counted.
    pub fn replace(&self, table: RouteTable) {
        let (shared, start) = (&self.shared, Instant::now());
        shared.live.store(Arc::new(InForce::new(shared.clusters.connect(table), &shared.states)));
        shared.swapped(start);
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

impl Shared {
    /// A table is in force that was begun to be prepared at `start`.
    fn swapped(&self, start: Instant) {
        let revision = self.revision.fetch_add(1, Ordering::Relaxed) + 1;
        self.metrics.gateway().swapped(revision, start.elapsed());
    }
}

impl Worker {
    async fn serve(
        self: Arc<Self>,
        server: &Server<()>,
        listener: TcpListener,
        shutdown: Shutdown,
    ) -> Result<(), Error> {
        let served = server.with(Door(Arc::clone(&self))).run(listener, shutdown.clone());
        // The server knows nothing any more of those that do not speak HTTP.
        let tunnels = async {
            shutdown.triggered().await;
            self.tunnels.end(self.shared.options.serve.drain).await;
            Ok(())
        };
        tokio::select! {
            done = async { tokio::try_join!(served, tunnels) } => done.map(drop),
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
