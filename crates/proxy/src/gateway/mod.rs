//! The gateway: clients on one side, services on the other.

mod aggregate;
mod answer;
mod body;
mod counter;
mod deadline;
mod doors;
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

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use trellis_core::{Discovery, Error};
use trellis_net::cluster::ClusterReport;
use trellis_runtime::{Shutdown, WallClock, workers};

use crate::Options;
use crate::metrics::{MetricsOptions, Registry};
use crate::table::RouteTable;
use hits::Hits;
use live::Clusters;
use state::{InForce, States};
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
    /// A gateway for `table`, whose services are found through `discovery`. Fails if a cluster's TLS files cannot be
    /// used.
    pub fn new(
        options: Options,
        table: RouteTable,
        discovery: Arc<dyn Discovery>,
    ) -> Result<(Self, Handle), Error> {
        let start = Instant::now();
        let clusters = Clusters::new(&options, discovery);
        let clock = WallClock::system();
        let metrics =
            Registry::new(MetricsOptions { workers: options.workers(), ..MetricsOptions::default() });
        let stats = (0..options.workers()).map(|_| stats::Counters::default()).collect();
        let (states, hits) = (States::new(&metrics), Hits::new(&metrics));
        let live = ArcSwap::from_pointee(InForce::new(clusters.connect(table)?, &states));
        let revision = AtomicU64::new(0);
        let shared =
            Arc::new(Shared { options, clock, live, revision, clusters, states, metrics, hits, stats });
        shared.swapped(start);
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
    /// connections, load and breakers, and equal limits of equal paths what they have counted. Nothing changes if a
    /// cluster's TLS files cannot be used.
    pub fn replace(&self, table: RouteTable) -> Result<(), Error> {
        let (shared, start) = (&self.shared, Instant::now());
        shared.live.store(Arc::new(InForce::new(shared.clusters.connect(table)?, &shared.states)));
        shared.swapped(start);
        Ok(())
    }

    /// How each cluster of the current table stands.
    pub fn clusters(&self) -> Vec<ClusterReport> {
        self.shared.clusters.report()
    }

    /// What has happened since the start, in the text format of Prometheus.
    pub fn metrics(&self) -> String {
        self.shared.metrics.render(&self.clusters())
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
