//! What the registry counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the registry holds now, and what it has done since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Instances that are registered.
    pub instances: u64,
    /// Services that have instances.
    pub services: u64,
    /// Nodes that are registered.
    pub nodes: u64,
    /// Checks that are registered.
    pub checks: u64,
    /// Requests that wait for a change.
    pub waiting: u64,
    /// Registrations that were accepted.
    pub registrations: u64,
    /// Removals that were asked for.
    pub deregistrations: u64,
    /// Leases that were renewed.
    pub renewals: u64,
    /// Leases that ended.
    pub expiries: u64,
    /// Times that a service's leases ended in such numbers that they were held back.
    pub protections: u64,
    /// Waits that ended because something changed, and events that were sent for it.
    pub wakes: u64,
    /// Sets of endpoints that were not sent to someone who reads slowly, because there was a newer one by then.
    pub missed: u64,
    /// Times that a reader was told to fetch everything, because it asked for what is not kept any more.
    pub resyncs: u64,
    /// Active checks that ran.
    pub check_runs: u64,
    /// Active checks that came late, because too many ran.
    pub check_delays: u64,
    /// Answers of [`Handle::cached`](crate::Handle::cached) that were there already.
    pub cache_hits: u64,
    /// Answers of [`Handle::cached`](crate::Handle::cached) that had to be made.
    pub cache_misses: u64,
    /// Waits and watches that were refused because there were too many.
    pub refused: u64,
}

/// The counting itself.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) registrations: Counter,
    pub(crate) deregistrations: Counter,
    pub(crate) renewals: Counter,
    pub(crate) expiries: Counter,
    pub(crate) wakes: Counter,
    pub(crate) missed: Counter,
    pub(crate) resyncs: Counter,
    pub(crate) check_runs: Counter,
    pub(crate) check_delays: Counter,
    pub(crate) cache_hits: Counter,
    pub(crate) cache_misses: Counter,
    pub(crate) refused: Counter,
}

/// Only ever grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
