//! What the gateway as a whole counts.

use std::time::Duration;

use trellis_core::{Code, codes};

use super::cells::{Cell, Shares};
use super::histogram::{Buckets, Read};

/// The counts of a gateway.
#[derive(Debug)]
pub struct GatewayMetrics {
    shares: Shares<Share>,
    revision: Cell,
}

#[derive(Debug, Default)]
struct Share {
    in_flight: Cell,
    open: Cell,
    accepted: Cell,
    refused_connections: Cell,
    refused: Refused,
    swaps: Buckets,
}

/// By the place in [`codes::ALL`].
#[derive(Debug)]
struct Refused([Cell; codes::ALL.len()]);

impl GatewayMetrics {
    pub(super) fn new(workers: usize) -> Self {
        Self { shares: Shares::new(workers), revision: Cell::default() }
    }

    /// Counts a request as under way.
    pub fn request_begins(&self, worker: usize) {
        self.shares.of(worker).in_flight.add(1);
    }

    /// Counts a request as ended, on any worker.
    pub fn request_ends(&self, worker: usize) {
        self.shares.of(worker).in_flight.sub(1);
    }

    /// Counts a request that was answered here, with an error.
    pub fn refused(&self, worker: usize, code: Code) {
        // All codes are in the list, but a missing one must not become another.
        if let Some(place) = codes::ALL.iter().position(|known| known.id == code.id) {
            self.shares.of(worker).refused.0[place].add(1);
        }
    }

    /// Counts a client's connection as open.
    pub fn connection_accepted(&self, worker: usize) {
        let share = self.shares.of(worker);
        share.accepted.add(1);
        share.open.add(1);
    }

    /// Counts a connection as closed, once for each that was accepted, on any worker.
    pub fn connection_closed(&self, worker: usize) {
        self.shares.of(worker).open.sub(1);
    }

    /// Counts a connection that was not taken.
    pub fn connection_refused(&self, worker: usize) {
        self.shares.of(worker).refused_connections.add(1);
    }

    /// Counts a swap of the route table: how long it took to prepare, and what is in force now.
    pub fn swapped(&self, revision: u64, duration: Duration) {
        self.revision.set(revision);
        self.shares.of(0).swaps.observe(duration);
    }

    pub(super) fn in_flight(&self) -> i64 {
        self.shares.sum(|share| share.in_flight.get()).cast_signed()
    }

    pub(super) fn open(&self) -> i64 {
        self.shares.sum(|share| share.open.get()).cast_signed()
    }

    pub(super) fn accepted(&self) -> u64 {
        self.shares.sum(|share| share.accepted.get())
    }

    pub(super) fn refused_connections(&self) -> u64 {
        self.shares.sum(|share| share.refused_connections.get())
    }

    /// The codes that were given at least once.
    pub(super) fn by_code(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |place: usize| self.shares.sum(|share| share.refused.0[place].get());
        let counts = codes::ALL.iter().enumerate().map(move |(place, code)| (code.id, count(place)));
        counts.filter(|(_, count)| *count > 0)
    }

    pub(super) fn swaps(&self) -> Read {
        Read::of(&self.shares, |share| &share.swaps)
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision.get()
    }
}

impl Default for Refused {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Cell::default()))
    }
}
