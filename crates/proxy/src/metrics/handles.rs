//! What routes, clusters and limits count. Counting takes a few additions in the caller's own cache lines:
//! no lock, no allocation.
//!
//! `worker` is a number for the thread, below the number of workers in [`MetricsOptions`](super::MetricsOptions).

use std::time::Duration;

use super::cells::{Cell, Shares};
use super::histogram::{Buckets, Read};
use super::labels::{Outcome, StatusClass};

/// The counts of a route.
#[derive(Debug)]
pub struct RouteMetrics(Shares<Route>);

/// The counts of a cluster.
#[derive(Debug)]
pub struct ClusterMetrics(Shares<Cluster>);

/// How often a limit kept something out.
#[derive(Debug)]
pub struct LimitMetrics(Shares<Cell>);

#[derive(Debug, Default)]
struct Route {
    by_class: [Cell; StatusClass::NAMES.len()],
    duration: Buckets,
    bytes_in: Cell,
    bytes_out: Cell,
}

#[derive(Debug, Default)]
struct Cluster {
    by_outcome: [Cell; Outcome::NAMES.len()],
    duration: Buckets,
    retries: Cell,
    retries_denied: Cell,
    mirrored: Cell,
}

impl RouteMetrics {
    pub(super) fn new(workers: usize) -> Self {
        Self(Shares::new(workers))
    }

    /// Counts a request that has ended: how it was answered, how long it took to the last byte, and the bytes of both
    /// bodies.
    pub fn record(
        &self,
        worker: usize,
        class: StatusClass,
        duration: Duration,
        bytes_in: u64,
        bytes_out: u64,
    ) {
        let share = self.0.of(worker);
        share.by_class[class as usize].add(1);
        share.duration.observe(duration);
        share.bytes_in.add(bytes_in);
        share.bytes_out.add(bytes_out);
    }

    pub(super) fn by_class(&self) -> [(&'static str, u64); StatusClass::NAMES.len()] {
        named(StatusClass::NAMES, |place| self.0.sum(|share| share.by_class[place].get()))
    }

    pub(super) fn duration(&self) -> Read {
        Read::of(&self.0, |share| &share.duration)
    }

    pub(super) fn bytes_in(&self) -> u64 {
        self.0.sum(|share| share.bytes_in.get())
    }

    pub(super) fn bytes_out(&self) -> u64 {
        self.0.sum(|share| share.bytes_out.get())
    }
}

impl ClusterMetrics {
    pub(super) fn new(workers: usize) -> Self {
        Self(Shares::new(workers))
    }

    /// Counts a call that has ended, and how long its answer took to begin, over all attempts.
    pub fn record(&self, worker: usize, outcome: Outcome, duration: Duration) {
        let share = self.0.of(worker);
        share.by_outcome[outcome as usize].add(1);
        share.duration.observe(duration);
    }

    /// Counts a request that is sent again.
    pub fn retry(&self, worker: usize) {
        self.0.of(worker).retries.add(1);
    }

    /// Counts a request that would be sent again, if the retry budget allowed it.
    pub fn retry_denied(&self, worker: usize) {
        self.0.of(worker).retries_denied.add(1);
    }

    /// Counts a copy of a request that is sent here.
    pub fn mirrored(&self, worker: usize) {
        self.0.of(worker).mirrored.add(1);
    }

    pub(super) fn by_outcome(&self) -> [(&'static str, u64); Outcome::NAMES.len()] {
        named(Outcome::NAMES, |place| self.0.sum(|share| share.by_outcome[place].get()))
    }

    pub(super) fn duration(&self) -> Read {
        Read::of(&self.0, |share| &share.duration)
    }

    pub(super) fn retries(&self) -> u64 {
        self.0.sum(|share| share.retries.get())
    }

    pub(super) fn retries_denied(&self) -> u64 {
        self.0.sum(|share| share.retries_denied.get())
    }

    pub(super) fn copies(&self) -> u64 {
        self.0.sum(|share| share.mirrored.get())
    }
}

impl LimitMetrics {
    pub(super) fn new(workers: usize) -> Self {
        Self(Shares::new(workers))
    }

    /// Counts something that was kept out.
    pub fn hit(&self, worker: usize) {
        self.0.of(worker).add(1);
    }

    pub(super) fn hits(&self) -> u64 {
        self.0.sum(Cell::get)
    }
}

fn named<const N: usize>(names: [&'static str; N], read: impl Fn(usize) -> u64) -> [(&'static str, u64); N] {
    std::array::from_fn(|place| (names[place], read(place)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There are as many of them as routes times threads.
    #[test]
    fn shares_are_small() {
        assert!(size_of::<Route>() <= 256 && size_of::<Cluster>() <= 256);
    }

    #[test]
    fn threads_do_not_lose_counts() {
        let metrics = RouteMetrics::new(4);
        std::thread::scope(|scope| {
            for worker in 0..8 {
                let metrics = &metrics;
                scope.spawn(move || {
                    for _ in 0..1000 {
                        metrics.record(worker, StatusClass::Success, Duration::from_millis(1), 1, 2);
                    }
                });
            }
        });
        assert_eq!(metrics.by_class()[1], ("2xx", 8000));
        assert_eq!(
            (metrics.duration().count(), metrics.bytes_in(), metrics.bytes_out()),
            (8000, 8000, 16_000)
        );
    }
}
