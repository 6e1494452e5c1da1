//! What a cluster looks like from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use trellis_core::{InstanceId, ServiceName};
use trellis_resilience::{ConcurrencyLimit, PeakEwma, State};

use super::Cluster;
use super::learn::now;
use super::members::{Counts, Member, Shard};

/// A cluster at one moment. What is counted is counted since it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterReport {
    /// Its name.
    pub name: ServiceName,
    /// In the order of the endpoint set.
    pub members: Vec<MemberReport>,
    /// Connections that carry no request, or are shared by any number of them.
    pub idle_connections: usize,
    /// Attempts that were not the first of their request.
    pub retries: u64,
    /// Requests that were not sent again because too many had been.
    pub retries_denied: u64,
    /// Requests that were refused, or tried elsewhere, because of a limit on requests or connections.
    pub limit_hits: u64,
    /// How many requests may be under way, and how many are, if that is limited.
    pub requests: Option<Limited>,
}

/// Where a limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    /// How many there may be now.
    pub limit: u32,
    /// How many there are.
    pub now: u32,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberReport {
    /// Who it is.
    pub id: InstanceId,
    /// Share of traffic relative to the others.
    pub weight: u32,
    /// Requests under way.
    pub outstanding: u32,
    /// Attempts that it answered with a status below 500.
    pub good: u64,
    /// Attempts that it answered with one of 500 or more.
    pub errors: u64,
    /// Attempts that it did not answer, by its own fault.
    pub failures: u64,
    /// How long its answers took to begin, all together.
    pub took: Duration,
    /// Where its breaker stands.
    pub breaker: State,
    /// Left out for a while, for doing worse than the others.
    pub ejected: bool,
    /// What active checks say; without any, it is healthy.
    pub healthy: bool,
    /// How soon it answers, by the worker that thinks the least of it; known if instances are chosen by that.
    pub ewma: Option<Duration>,
    /// Connections now, if they are limited.
    pub connections: Option<u32>,
}

/// What happens rarely enough for all workers to count it together.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) retries: AtomicU64,
    pub(super) denied: AtomicU64,
    pub(super) over_limit: AtomicU64,
}

impl Cluster {
    /// How it stands.
    pub fn report(&self) -> ClusterReport {
        let now = now();
        // What is known by now, even if nobody has asked yet.
        let newest = self.known.update(&mut self.endpoints.clone(), &self.options, now);
        let views: Vec<_> = self.shards.iter().map(Shard::current).collect();
        let member = |(shared, endpoint): (&Arc<_>, &trellis_core::Endpoint)| {
            let seen = views.iter().flat_map(|view| &view.list);
            let seen: Vec<&Arc<Member>> = seen.filter(|member| Arc::ptr_eq(&member.shared, shared)).collect();
            let shared: &super::shared::Shared = shared;
            let sum = |which: fn(&Counts) -> &AtomicU64| {
                seen.iter().map(|member| which(&member.counts).load(Ordering::Relaxed)).sum::<u64>()
            };
            MemberReport {
                id: endpoint.id.clone(),
                weight: endpoint.weight,
                outstanding: seen.iter().map(|member| member.outstanding()).sum(),
                good: sum(|counts| &counts.good),
                errors: sum(|counts| &counts.errors),
                failures: sum(|counts| &counts.failures),
                took: Duration::from_micros(sum(|counts| &counts.micros)),
                breaker: shared.breaker.state(now),
                ejected: shared.is_ejected(now),
                healthy: shared.is_healthy(),
                ewma: seen.iter().filter_map(|member| member.ewma.as_ref().map(PeakEwma::estimate)).max(),
                connections: shared.limit.as_ref().map(|limit| limit.open()),
            }
        };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let requests = |limit: &ConcurrencyLimit| Limited { limit: limit.limit(), now: limit.under_way() };
        ClusterReport {
            name: self.name.clone(),
            members: newest.list.iter().zip(&newest.set.endpoints).map(member).collect(),
            idle_connections: self.idle_connections(),
            retries: count(&self.counters.retries),
            retries_denied: count(&self.counters.denied),
            limit_hits: count(&self.counters.over_limit),
            requests: self.limit.as_ref().map(requests),
        }
    }
}
