//! The instances of a cluster as one worker sees them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use http::uri::Authority;
use trellis_core::{Endpoint, EndpointWatch};
use trellis_resilience::{Balancer, BalancerOptions, PeakEwma, Policy, Slot};

use super::ClusterOptions;
use super::shared::{Known, Newest, Shared, is_same};
use crate::client::{Pool, PoolOptions};

/// One worker's view of a cluster: its own snapshot, its own connections and its own counts, so that workers do not wait
/// for each other's cache lines.
#[repr(align(128))]
pub(super) struct Shard {
    view: Mutex<View>,
    /// Requests that the retry budget has not heard of yet.
    pub(super) requests: AtomicU32,
}

struct View {
    watch: EndpointWatch,
    /// Whether the first snapshot has been taken.
    read: bool,
    members: Arc<Members>,
}

/// One snapshot of a cluster's members, in the order of the endpoint set it was made from.
pub(super) struct Members {
    pub(super) list: Vec<Arc<Member>>,
    pub(super) balancer: Arc<Balancer>,
}

/// One instance as a worker sees it, for as long as it keeps its address.
#[derive(Debug)]
pub(super) struct Member {
    /// Its weight and zone are those that it began with; the balancer knows the present ones.
    pub(super) endpoint: Endpoint,
    /// What all workers know of it.
    pub(super) shared: Arc<Shared>,
    pub(super) pool: Arc<Pool>,
    /// The address as it is said to the instance: in a `Host` header, or in a whole URI.
    pub(super) host: Option<HeaderValue>,
    pub(super) authority: Option<Authority>,
    /// How soon it answers, if it is chosen by that.
    pub(super) ewma: Option<PeakEwma>,
    outstanding: AtomicU32,
    pub(super) counts: Counts,
}

/// What attempts on a member came to, as one worker counted them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Answers below 500.
    pub(super) good: AtomicU64,
    /// Answers of 500 and more.
    pub(super) errors: AtomicU64,
    /// No answer, which was the instance's fault.
    pub(super) failures: AtomicU64,
    /// Time until answers began, in microseconds.
    pub(super) micros: AtomicU64,
}

/// The time in which an old answer loses most of its weight, and what is expected of an instance that has not answered
/// yet.
const EWMA_DECAY: Duration = Duration::from_secs(10);
const EWMA_FIRST: Duration = Duration::from_millis(30);

// === impl Shard ===

impl Shard {
    pub(super) fn new(mut watch: EndpointWatch, options: &BalancerOptions) -> Self {
        watch.mark_changed();
        let balancer = Arc::new(Balancer::new(options, &[]));
        let members = Arc::new(Members { list: Vec::new(), balancer });
        Self { view: Mutex::new(View { watch, read: false, members }), requests: AtomicU32::new(0) }
    }

    /// The members of the newest snapshot.
    pub(super) fn members(
        &self,
        known: &Known,
        options: &ClusterOptions,
        pool: &Arc<PoolOptions>,
    ) -> Arc<Members> {
        let mut view = self.view();
        // A watch whose sender is gone keeps its last value.
        if view.watch.has_changed().unwrap_or(!view.read) {
            let now = tokio::time::Instant::now().into_std();
            let newest = known.update(&mut view.watch, options, now);
            view.members = Arc::new(Members::new(&newest, &view.members.list, options, pool));
            view.read = true;
        }
        Arc::clone(&view.members)
    }

    /// Requests since the last time.
    pub(super) fn take_requests(&self) -> u32 {
        // Most of the time another worker's count is looked at: then this is a load and no store.
        if self.requests.load(Ordering::Relaxed) == 0 { 0 } else { self.requests.swap(0, Ordering::Relaxed) }
    }

    pub(super) fn current(&self) -> Arc<Members> {
        Arc::clone(&self.view().members)
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Members ===

impl Members {
    fn new(
        newest: &Newest,
        before: &[Arc<Member>],
        options: &ClusterOptions,
        pool: &Arc<PoolOptions>,
    ) -> Self {
        let member = |shared: &Arc<Shared>| {
            let same = before.iter().find(|member| is_same(&member.endpoint, &shared.endpoint));
            let same = same.filter(|member| Arc::ptr_eq(&member.shared, shared));
            same.cloned().unwrap_or_else(|| {
                let by_latency = options.balancer.policy == Policy::PeakEwma;
                Arc::new(Member::new(Arc::clone(shared), pool, by_latency))
            })
        };
        // Each worker and each snapshot begins at another turn, or the first member would get all the first requests.
        let turn =
            || Balancer::new(&options.balancer, &slots(&newest.set.endpoints)).at_turn(fastrand::u64(..));
        let balancer = newest.table.clone().unwrap_or_else(|| Arc::new(turn()));
        Self { list: newest.list.iter().map(member).collect(), balancer }
    }
}

/// Endpoints as a balancer sees them.
pub(super) fn slots(endpoints: &[Endpoint]) -> Vec<Slot<'_>> {
    endpoints
        .iter()
        .map(|endpoint| Slot {
            id: endpoint.id.as_str(),
            weight: endpoint.weight,
            zone: endpoint.zone.as_deref(),
        })
        .collect()
}

// === impl Member ===

impl Member {
    fn new(shared: Arc<Shared>, options: &Arc<PoolOptions>, by_latency: bool) -> Self {
        // Copies of this worker's own: a shared count of references would be fought over with every request.
        let text = &*shared.endpoint.authority;
        let pool = match &shared.limit {
            Some(limit) => Pool::limited(text.into(), Arc::clone(options), limit),
            None => Pool::new(text.into(), Arc::clone(options)),
        };
        Self {
            pool,
            host: HeaderValue::from_str(text).ok(),
            authority: text.parse().ok(),
            endpoint: shared.endpoint.clone(),
            shared,
            ewma: by_latency.then(|| PeakEwma::new(EWMA_DECAY, EWMA_FIRST)),
            outstanding: AtomicU32::new(0),
            counts: Counts::default(),
        }
    }

    pub(super) fn outstanding(&self) -> u32 {
        self.outstanding.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self) {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}
