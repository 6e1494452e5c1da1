//! The instances of a cluster with what is remembered of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use trellis_core::{Endpoint, EndpointSet};
use trellis_resilience::breaker::{Admission, Breaker, BreakerOptions, Outcome};

/// One snapshot of a cluster's members, in the order of the endpoint set it was made from.
#[derive(Default)]
pub(super) struct Members {
    pub(super) revision: u64,
    pub(super) list: Vec<Arc<Member>>,
}

/// One instance, for as long as it keeps its address.
pub(super) struct Member {
    pub(super) endpoint: Endpoint,
    pub(super) breaker: Breaker,
    outstanding: AtomicU32,
}

/// A request on its way to a member. Dropped without a verdict (the client went away) it counts neither for nor
/// against the member.
pub(super) struct Attempt {
    member: Arc<Member>,
    admission: Option<Admission>,
}

impl Members {
    /// The members for a newer endpoint set; those that are in both keep their state.
    pub(super) fn next(&self, set: &EndpointSet, breaker: &BreakerOptions) -> Self {
        let member = |endpoint: &Endpoint| {
            let known = self.list.iter().find(|m| m.endpoint == *endpoint);
            known.cloned().unwrap_or_else(|| {
                Arc::new(Member {
                    endpoint: endpoint.clone(),
                    breaker: Breaker::new(*breaker),
                    outstanding: AtomicU32::new(0),
                })
            })
        };
        Self { revision: set.revision, list: set.endpoints.iter().map(member).collect() }
    }
}

impl Member {
    pub(super) fn outstanding(&self) -> u32 {
        self.outstanding.load(Ordering::Relaxed)
    }
}

impl Attempt {
    pub(super) fn new(member: Arc<Member>, admission: Admission) -> Self {
        member.outstanding.fetch_add(1, Ordering::Relaxed);
        Self { member, admission: Some(admission) }
    }

    /// Tells the breaker how it went; the load is counted until the attempt is dropped.
    pub(super) fn verdict(&mut self, outcome: Outcome, now: Instant) {
        if let Some(admission) = self.admission.take() {
            self.member.breaker.record(admission, outcome, now);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.member.outstanding.fetch_sub(1, Ordering::Relaxed);
        self.verdict(Outcome::Ignored, tokio::time::Instant::now().into_std());
    }
}
