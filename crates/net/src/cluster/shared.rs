//! What is known of the instances of a cluster, whoever asked them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::{info, warn};
use trellis_core::{Endpoint, EndpointSet, EndpointWatch};
use trellis_resilience::outlier::{self, Change};
use trellis_resilience::{Balancer, Breaker, Outliers, Policy};

use super::ClusterOptions;
use super::members::slots;
use crate::client::ConnectionLimit;

/// What is remembered of an instance as long as it keeps its address.
#[derive(Debug)]
pub(super) struct Shared {
    /// Its weight and zone are those that it began with.
    pub(super) endpoint: Endpoint,
    pub(super) breaker: Breaker,
    pub(super) outlier: Option<outlier::Member>,
    pub(super) limit: Option<Arc<ConnectionLimit>>,
    /// When it joined the others; those that were there from the beginning are warm.
    pub(super) joined: Option<Instant>,
    /// Active checks say that it cannot serve.
    is_down: AtomicBool,
}

/// What all workers know of the members of a cluster.
#[derive(Debug)]
pub(super) struct Known {
    outliers: Option<Outliers>,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    set: Arc<EndpointSet>,
    list: Vec<Arc<Shared>>,
    /// A table takes milliseconds to fill, so one is for all workers.
    table: Option<Arc<Balancer>>,
}

/// One snapshot, in the order of its endpoint set.
pub(super) struct Newest {
    pub(super) set: Arc<EndpointSet>,
    pub(super) list: Vec<Arc<Shared>>,
    pub(super) table: Option<Arc<Balancer>>,
}

// === impl Known ===

impl Known {
    pub(super) fn new(options: &ClusterOptions, now: Instant) -> Self {
        let outliers = options.outlier.map(|outlier| Outliers::new(outlier, now));
        Self { outliers, current: Mutex::default() }
    }

    /// What is known of each endpoint that `watch` shows. What is not among them any more is forgotten. The watch is
    /// read under the lock: a worker that comes late does not bring back what is gone.
    pub(super) fn update(&self, watch: &mut EndpointWatch, options: &ClusterOptions, now: Instant) -> Newest {
        let mut current = self.current();
        let set = Arc::clone(&watch.borrow_and_update());
        if !Arc::ptr_eq(&set, &current.set) {
            let joined = (!current.list.is_empty()).then_some(now);
            let shared = |endpoint: &Endpoint| {
                let same = current.list.iter().find(|shared| is_same(&shared.endpoint, endpoint));
                same.cloned().unwrap_or_else(|| Arc::new(self.shared(endpoint, options, joined)))
            };
            current.list = set.endpoints.iter().map(shared).collect();
            let hashes = matches!(options.balancer.policy, Policy::RingHash | Policy::Maglev);
            current.table =
                hashes.then(|| Arc::new(Balancer::new(&options.balancer, &slots(&set.endpoints))));
            current.set = set;
        }
        Newest { set: Arc::clone(&current.set), list: current.list.clone(), table: current.table.clone() }
    }

    pub(super) fn list(&self) -> Vec<Arc<Shared>> {
        self.current().list.clone()
    }

    /// Counts an answer, or the lack of one, and leaves out whoever has to go.
    pub(super) fn judge(&self, member: &Shared, verdict: outlier::Verdict, now: Instant) {
        let (Some(outliers), Some(judged)) = (&self.outliers, &member.outlier) else { return };
        if !(judged.record(verdict) | outliers.is_due(now)) {
            return;
        }
        let list = self.list();
        for change in outliers.evaluate(list.iter().filter_map(|member| member.outlier.as_ref()), now) {
            match change {
                Change::Ejected { index, reason, period } => {
                    warn!(instance = %list[index].endpoint.id, ?reason, ?period, "instance left out");
                }
                Change::Returned { index } => info!(instance = %list[index].endpoint.id, "instance is back"),
            }
        }
    }

    fn shared(&self, endpoint: &Endpoint, options: &ClusterOptions, joined: Option<Instant>) -> Shared {
        Shared {
            endpoint: endpoint.clone(),
            breaker: Breaker::new(options.breaker),
            outlier: self.outliers.as_ref().map(Outliers::member),
            limit: options.max_connections.map(ConnectionLimit::new),
            joined,
            is_down: AtomicBool::new(false),
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Shared ===

impl Shared {
    /// Whether it takes part, as far as is known of how it does.
    pub(super) fn is_fit(&self, now: Instant) -> bool {
        self.is_healthy() && !self.is_ejected(now)
    }

    /// What active checks say of it.
    pub(super) fn is_healthy(&self) -> bool {
        !self.is_down.load(Ordering::Relaxed)
    }

    pub(super) fn set_healthy(&self, is_healthy: bool) {
        self.is_down.store(!is_healthy, Ordering::Relaxed);
    }

    pub(super) fn is_ejected(&self, now: Instant) -> bool {
        self.outlier.as_ref().is_some_and(|outlier| outlier.is_ejected(now))
    }
}

/// The same instance at the same address, whatever its share.
pub(super) fn is_same(one: &Endpoint, other: &Endpoint) -> bool {
    one.id == other.id && one.authority == other.authority
}
