//! The instances of a cluster with what is remembered of each.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http::HeaderValue;
use http::uri::Authority;
use trellis_core::{Endpoint, EndpointWatch};
use trellis_resilience::breaker::{Admission, Breaker, BreakerOptions, Outcome};
use trellis_resilience::{Balancer, BalancerOptions, Slot};

use super::ClusterOptions;
use crate::client::{Pool, PoolOptions};

/// One worker's view of a cluster: its own snapshot, its own connections and its own counts, so that workers do not wait
/// for each other's cache lines.
pub(super) struct Shard(Mutex<View>);

struct View {
    watch: EndpointWatch,
    /// Whether the first snapshot has been taken.
    read: bool,
    members: Arc<Members>,
}

/// One snapshot of a cluster's members, in the order of the endpoint set it was made from.
pub(super) struct Members {
    pub(super) list: Vec<Arc<Member>>,
    pub(super) balancer: Balancer,
}

/// One instance as a worker sees it, for as long as it keeps its address.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) endpoint: Endpoint,
    /// What all workers know of it.
    pub(super) shared: Arc<Shared>,
    pub(super) pool: Arc<Pool>,
    /// The address as it is said to the instance: in a `Host` header, or in a whole URI.
    pub(super) host: Option<HeaderValue>,
    pub(super) authority: Option<Authority>,
    outstanding: AtomicU32,
}

/// What is remembered of an instance, whoever asked it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    pub(super) breaker: Breaker,
}

/// What all workers know of the members of a cluster.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Vec<Arc<Shared>>>);

/// A request on its way to a member. Dropped without a verdict (the client went away) it counts neither for nor
/// against the member.
#[derive(Debug)]
pub struct Attempt {
    member: Arc<Member>,
    admission: Option<Admission>,
}

// === impl Shard ===

impl Shard {
    pub(super) fn new(mut watch: EndpointWatch, options: &BalancerOptions) -> Self {
        watch.mark_changed();
        let members = Arc::new(Members::new(Vec::new(), options));
        Self(Mutex::new(View { watch, read: false, members }))
    }

    /// The members of the newest snapshot.
    pub(super) fn members(
        &self,
        known: &Known,
        options: &ClusterOptions,
        pool: &Arc<PoolOptions>,
    ) -> Arc<Members> {
        let mut view = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A watch whose sender is gone keeps its last value.
        if view.watch.has_changed().unwrap_or(!view.read) {
            let set = Arc::clone(&view.watch.borrow_and_update());
            let shared = known.update(&set.endpoints, &options.breaker);
            let member = |shared: Arc<Shared>| {
                let same = view.members.list.iter().find(|member| member.endpoint == shared.endpoint);
                same.cloned().unwrap_or_else(|| Arc::new(Member::new(shared, pool)))
            };
            let list = shared.into_iter().map(member).collect();
            view.members = Arc::new(Members::new(list, &options.balancer));
            view.read = true;
        }
        Arc::clone(&view.members)
    }

    pub(super) fn current(&self) -> Arc<Members> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner).members)
    }
}

// === impl Members ===

impl Members {
    fn new(list: Vec<Arc<Member>>, options: &BalancerOptions) -> Self {
        let slots: Vec<_> = list.iter().map(|member| member.slot()).collect();
        // Each worker and each snapshot begins at another turn, or the first member would get all the first requests.
        let balancer = Balancer::new(options, &slots).at_turn(fastrand::u64(..));
        Self { list, balancer }
    }
}

// === impl Known ===

impl Known {
    /// What is known of each of `endpoints`, in their order. What is not among them any more is forgotten.
    fn update(&self, endpoints: &[Endpoint], breaker: &BreakerOptions) -> Vec<Arc<Shared>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = |endpoint: &Endpoint| {
            let same = known.iter().find(|shared| shared.endpoint == *endpoint);
            same.cloned().unwrap_or_else(|| {
                Arc::new(Shared { endpoint: endpoint.clone(), breaker: Breaker::new(*breaker) })
            })
        };
        let next: Vec<_> = endpoints.iter().map(shared).collect();
        known.clone_from(&next);
        next
    }
}

// === impl Member ===

impl Member {
    fn new(shared: Arc<Shared>, options: &Arc<PoolOptions>) -> Self {
        // Copies of this worker's own: a shared count of references would be fought over with every request.
        let text = &*shared.endpoint.authority;
        Self {
            pool: Pool::new(text.into(), Arc::clone(options)),
            host: HeaderValue::from_str(text).ok(),
            authority: text.parse().ok(),
            endpoint: shared.endpoint.clone(),
            shared,
            outstanding: AtomicU32::new(0),
        }
    }

    fn slot(&self) -> Slot<'_> {
        let Endpoint { id, weight, zone, .. } = &self.endpoint;
        Slot { id: id.as_str(), weight: *weight, zone: zone.as_deref() }
    }

    pub(super) fn outstanding(&self) -> u32 {
        self.outstanding.load(Ordering::Relaxed)
    }
}

// === impl Attempt ===

impl Attempt {
    pub(super) fn new(member: Arc<Member>, admission: Admission) -> Self {
        member.outstanding.fetch_add(1, Ordering::Relaxed);
        Self { member, admission: Some(admission) }
    }

    pub(super) fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// Tells the breaker how it went; the load is counted until the attempt is dropped.
    pub(super) fn verdict(&mut self, outcome: Outcome, now: Instant) {
        if let Some(admission) = self.admission.take() {
            self.member.shared.breaker.record(admission, outcome, now);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.member.outstanding.fetch_sub(1, Ordering::Relaxed);
        if self.admission.is_some() {
            self.verdict(Outcome::Ignored, tokio::time::Instant::now().into_std());
        }
    }
}
