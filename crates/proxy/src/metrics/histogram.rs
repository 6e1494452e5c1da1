//! Durations, counted in buckets.

use std::time::Duration;

use super::cells::{Cell, Shares};

/// The upper bounds of the buckets, in microseconds: 0.5 ms to 30 s, three for each power of ten where most answers
/// are. One more bucket is for what took longer.
pub(super) const BOUNDS: [u64; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// One thread's share of a histogram.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    counts: [Cell; BOUNDS.len() + 1],
    /// Microseconds.
    sum: Cell,
}

/// What a histogram has at one moment. Its count is the sum of its buckets, so the two always agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Read {
    /// Not cumulative.
    pub(super) counts: [u64; BOUNDS.len() + 1],
    /// Microseconds.
    pub(super) sum: u64,
}

impl Buckets {
    pub(super) fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        // A bound belongs to its bucket.
        self.counts[BOUNDS.partition_point(|bound| *bound < micros)].add(1);
        self.sum.add(micros);
    }
}

impl Read {
    /// Adds up the histograms in all shares.
    pub(super) fn of<T: Default>(shares: &Shares<T>, buckets: impl Fn(&T) -> &Buckets) -> Self {
        Self {
            counts: std::array::from_fn(|place| shares.sum(|share| buckets(share).counts[place].get())),
            sum: shares.sum(|share| buckets(share).sum.get()),
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn observed(micros: &[u64]) -> Read {
        let shares = Shares::<Buckets>::new(2);
        for (worker, micros) in micros.iter().enumerate() {
            shares.of(worker).observe(Duration::from_micros(*micros));
        }
        Read::of(&shares, |buckets| buckets)
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let read = observed(&[0, 500, 501, 30_000_000, 30_000_001, u64::MAX >> 1]);
        assert_eq!((read.counts[0], read.counts[1], read.counts[14], read.counts[15]), (2, 1, 1, 2));
        assert_eq!(read.count(), 6);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(micros in prop::collection::vec(0..60_000_000_u64, 0..50)) {
            let read = observed(&micros);
            prop_assert_eq!((read.count(), read.sum), (micros.len() as u64, micros.iter().sum()));
            for (place, bound) in BOUNDS.iter().enumerate() {
                let below = micros.iter().filter(|m| *m <= bound).count() as u64;
                prop_assert_eq!(read.counts[..=place].iter().sum::<u64>(), below);
            }
        }
    }
}
