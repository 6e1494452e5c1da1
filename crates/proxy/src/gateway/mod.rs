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

use std::convert::Infallible;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::Request;
use tokio::net::TcpListener;
use trellis_core::{Discovery, Error};
use trellis_net::{Body, serve};
use trellis_runtime::{Shutdown, WallClock};

use crate::Options;
use crate::table::RouteTable;
use live::{Clusters, Live};

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

#[derive(Debug)]
struct Shared {
    options: Options,
    clock: WallClock,
    live: ArcSwap<Live>,
    clusters: Clusters,
    stats: Arc<stats::Counters>,
}

impl Gateway {
    /// A gateway for `table`, whose services are found through `discovery`.
    pub fn new(options: Options, table: RouteTable, discovery: Arc<dyn Discovery>) -> (Self, Handle) {
        let clusters = Clusters::new(&options, discovery);
        let live = ArcSwap::from_pointee(clusters.connect(table));
        let clock = WallClock::system();
        let shared = Arc::new(Shared { options, clock, live, clusters, stats: Arc::default() });
        (Self { shared: Arc::clone(&shared) }, Handle { shared })
    }

    /// Serves `listener` until `shutdown`, then lets running requests finish for as long as the options say.
    pub async fn run(self, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
        let options = self.shared.options.serve.clone();
        let shared = Arc::clone(&self.shared);
        let service = tower::service_fn(move |request: Request<Body>| {
            let shared = Arc::clone(&self.shared);
            async move { Ok::<_, Infallible>(answer::answer(shared, request).await) }
        });
        let served = serve(listener, service, options, shutdown).await;
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

    /// What has happened since the start.
    pub fn stats(&self) -> Stats {
        self.shared.stats.read()
    }
}
