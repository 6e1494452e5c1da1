//! One thread's part of a gateway.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use trellis_net::{Client, Handler};

use super::Shared;
use super::answer::answer;
use super::body::Answered;
use super::live::Live;
use super::stats::Counters;

/// Carries requests on one thread. What they touch in passing (counts of references among it) belongs to this thread
/// alone.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) shared: Arc<Shared>,
    snapshot: Mutex<Arc<Snapshot>>,
}

/// The live table, counted by this worker only.
#[derive(Debug)]
pub(super) struct Snapshot {
    live: Arc<Live>,
}

/// What the server calls.
#[derive(Debug, Clone)]
pub(super) struct Door(pub(super) Arc<Worker>);

/// How often idle upstream connections are looked at.
const SWEEP: Duration = Duration::from_secs(5);

impl Worker {
    pub(super) fn new(index: usize, shared: &Arc<Shared>) -> Arc<Self> {
        let snapshot = Mutex::new(Arc::new(Snapshot { live: shared.live.load_full() }));
        Arc::new(Self { index, shared: Arc::clone(shared), snapshot })
    }

    /// The newest table, which stays as it is for whoever has it.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        let mut kept = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.shared.live.load();
        if !Arc::ptr_eq(&kept.live, &live) {
            *kept = Arc::new(Snapshot { live: Arc::clone(&live) });
        }
        Arc::clone(&kept)
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.shared.stats[self.index]
    }

    /// Whether all workers together carry more than they may.
    pub(super) fn is_full(&self) -> bool {
        let under_way: u64 = self.shared.stats.iter().map(Counters::in_flight).sum();
        under_way > u64::from(self.shared.options.max_requests)
    }

    /// Closes idle connections, for ever.
    pub(super) async fn sweep(&self) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            ticks.tick().await;
            for cluster in &self.snapshot().clusters {
                cluster.sweep(self.index);
            }
        }
    }
}

impl std::ops::Deref for Snapshot {
    type Target = Live;

    fn deref(&self) -> &Live {
        &self.live
    }
}

impl Handler for Door {
    type Body = Answered;

    fn handle(
        &self,
        request: Request<Incoming>,
        client: Arc<Client>,
    ) -> impl Future<Output = Response<Answered>> + Send + use<> {
        answer(Arc::clone(&self.0), request, client)
    }
}
