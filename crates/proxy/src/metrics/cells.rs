//! Counters that several threads write.

use std::sync::atomic::{AtomicU64, Ordering};

/// One thread's share of something that is counted. Two shares are never in the same cache line, nor in neighbours that
/// processors fetch together, so that threads do not wait for each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Share<T>(T);

/// As many `T` as there are threads that write.
#[derive(Debug)]
pub(super) struct Shares<T>(Box<[Share<T>]>);

/// A number that grows.
#[derive(Debug, Default)]
pub(super) struct Cell(AtomicU64);

impl<T: Default> Shares<T> {
    pub(super) fn new(count: usize) -> Self {
        Self((0..count.max(1)).map(|_| Share::default()).collect())
    }

    /// The share of a thread. Any number will do; the same number for the same thread is fastest.
    pub(super) fn of(&self, worker: usize) -> &T {
        &self.0[worker % self.0.len()].0
    }

    /// Something of all shares, added up. Wraps, so that a share may go below zero where one thread begins what another
    /// ends.
    pub(super) fn sum(&self, read: impl Fn(&T) -> u64) -> u64 {
        self.0.iter().fold(0, |sum, share| sum.wrapping_add(read(&share.0)))
    }
}

impl Cell {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_lie_apart() {
        let shares = Shares::<Cell>::new(3);
        let at = |worker| std::ptr::from_ref(shares.of(worker)).addr();
        assert!(at(1) - at(0) >= 128 && at(0).is_multiple_of(128));
        assert_eq!(at(4), at(1), "there may be more threads than shares");
        assert_eq!(Shares::<Cell>::new(0).of(7).get(), 0);
    }

    #[test]
    fn what_one_begins_another_may_end() {
        let shares = Shares::<Cell>::new(2);
        shares.of(0).add(3);
        shares.of(1).sub(2);
        assert_eq!(shares.sum(Cell::get), 1);
    }
}
