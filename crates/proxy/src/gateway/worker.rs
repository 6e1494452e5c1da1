//! One thread's part of a gateway.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trellis_net::{Client, Handler};

use super::Shared;
use super::answer::answer;
use super::body::Answered;
use super::hits::Hits;
use super::state::InForce;
use super::stats::Counters;

/// Carries requests on one thread. What they touch in passing (counts of references among it) belongs to this thread
/// alone.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) shared: Arc<Shared>,
    /// Copies of requests under way.
    pub(super) copies: AtomicUsize,
    pub(super) tunnels: Tunnels,
    snapshot: Mutex<Arc<Snapshot>>,
}

/// What is in force, counted by this worker only.
#[derive(Debug)]
pub(super) struct Snapshot {
    live: Arc<InForce>,
}

/// Requests that do not speak HTTP any more.
#[derive(Debug, Default)]
pub(super) struct Tunnels {
    pub(super) tasks: TaskTracker,
    /// Ends those that are left.
    pub(super) cut: CancellationToken,
}

/// What the server calls.
#[derive(Debug, Clone)]
pub(super) struct Door(pub(super) Arc<Worker>);

/// How often idle upstream connections are looked at.
const SWEEP: Duration = Duration::from_secs(5);

impl Worker {
    pub(super) fn new(index: usize, shared: &Arc<Shared>) -> Arc<Self> {
        let snapshot = Mutex::new(Arc::new(Snapshot { live: shared.live.load_full() }));
        let (copies, tunnels) = (AtomicUsize::new(0), Tunnels::default());
        Arc::new(Self { index, shared: Arc::clone(shared), copies, tunnels, snapshot })
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

    /// What limits keep out.
    pub(super) fn hits(&self) -> &Hits {
        &self.shared.hits
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

impl Tunnels {
    /// Waits for all tunnels to end, but not longer than `drain`.
    pub(super) async fn end(&self, drain: Duration) {
        self.tasks.close();
        if tokio::time::timeout(drain, self.tasks.wait()).await.is_err() {
            tracing::warn!(after = ?drain, open = self.tasks.len(), "tunnels still open at the end of the drain are cut");
            self.cut.cancel();
        }
    }
}

impl std::ops::Deref for Snapshot {
    type Target = InForce;

    fn deref(&self) -> &InForce {
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
        // The server keeps room for a future in every connection, and moves it about: a pointer, then.
        Box::pin(answer(Arc::clone(&self.0), request, client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what `carry` gives, which is not called.
    fn size<R, F: Future>(_carry: impl FnOnce(Arc<Worker>, R, Arc<Client>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn what_is_moved_with_every_request_is_small() {
        let size = size(answer);
        assert!(size <= 6144, "the future of a request has {size} bytes: box what few requests need");
    }
}
