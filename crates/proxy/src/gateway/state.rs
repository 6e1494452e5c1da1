//! What is in force: a table with what is behind it, and what a running gateway keeps for each of its routes.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use trellis_resilience::{ConcurrencyLimit, ConcurrencyOptions};

use super::limits::{Counters, Limiter};
use super::live::Live;
use crate::metrics::{ClusterMetrics, Registry, RouteMetrics};
use crate::table::{RateLimit, Route, RouteTable, Target};

/// What one request sees from its beginning to its end.
#[derive(Debug)]
pub(super) struct InForce {
    live: Live,
    /// By the index of the route.
    pub(super) routes: Box<[RouteState]>,
    /// What is counted for a cluster, by its index.
    pub(super) calls: Box<[Arc<ClusterMetrics>]>,
}

/// What is counted for a route, and against it.
#[derive(Debug)]
pub(super) struct RouteState {
    pub(super) metrics: Arc<RouteMetrics>,
    /// Requests at once.
    pub(super) at_once: Option<Arc<ConcurrencyLimit>>,
    /// Requests over time.
    pub(super) limits: Box<[Arc<Limiter>]>,
    /// Of the cluster that gets copies.
    pub(super) copies: Option<Arc<ClusterMetrics>>,
}

/// The state of the routes in force, from which those of the next table take theirs.
#[derive(Debug)]
pub(super) struct States {
    metrics: Registry,
    counters: Counters,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    limits: Equals<(Box<str>, RateLimit), Limiter>,
    at_once: Equals<(Box<str>, u32), ConcurrencyLimit>,
}

/// Things by what they are made of. Two routes may be alike in this; then their order tells them apart.
#[derive(Debug)]
struct Equals<K, T>(HashMap<K, VecDeque<Arc<T>>>);

impl InForce {
    pub(super) fn new(live: Live, states: &States) -> Self {
        let routes = states.of(&live.table);
        let calls =
            live.table.upstreams.iter().map(|upstream| states.metrics.cluster(upstream.name().as_str()));
        Self { calls: calls.collect(), routes, live }
    }
}

impl Deref for InForce {
    type Target = Live;

    fn deref(&self) -> &Live {
        &self.live
    }
}

impl States {
    pub(super) fn new(metrics: &Registry) -> Self {
        Self { metrics: metrics.clone(), counters: Counters::default(), kept: Mutex::default() }
    }

    /// Finds or makes the state of each route. Equal limits of equal paths go on where they are.
    fn of(&self, table: &RouteTable) -> Box<[RouteState]> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Kept::default();
        let states =
            table.routes.iter().map(|route| self.state(table, route, &mut kept, &mut next)).collect();
        *kept = next;
        self.counters.keep(table.routes.iter().flat_map(|route| &*route.rate_limits));
        states
    }

    fn state(&self, table: &RouteTable, route: &Route, kept: &mut Kept, next: &mut Kept) -> RouteState {
        let limit = |limit: &RateLimit| {
            let key = (route.path.clone(), limit.clone());
            let known = kept.limits.take(&key);
            next.limits
                .put(key, known.unwrap_or_else(|| Arc::new(Limiter::new(&route.path, limit, &self.counters))))
        };
        let limits = route.rate_limits.iter().map(limit).collect();
        let at_once = route.max_requests.map(|max| {
            let key = (route.path.clone(), max);
            let known = kept.at_once.take(&key);
            let options = ConcurrencyOptions { max, ..ConcurrencyOptions::default() };
            next.at_once.put(key, known.unwrap_or_else(|| Arc::new(ConcurrencyLimit::new(options))))
        });
        let mirror = match &route.target {
            Target::Forward(forward) => forward.mirror.as_ref(),
            _ => None,
        };
        let copies =
            mirror.map(|mirror| self.metrics.cluster(table.upstreams[mirror.upstream].name().as_str()));
        RouteState { metrics: self.metrics.route(&route.path), at_once, limits, copies }
    }
}

impl<K: Eq + Hash, T> Equals<K, T> {
    fn take(&mut self, key: &K) -> Option<Arc<T>> {
        self.0.get_mut(key)?.pop_front()
    }

    fn put(&mut self, key: K, thing: Arc<T>) -> Arc<T> {
        self.0.entry(key).or_default().push_back(Arc::clone(&thing));
        thing
    }
}

impl<K, T> Default for Equals<K, T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}
