//! Drawing from a list by weight.

use crate::dice::scale;

/// The shares that the entries of a list have, with everything a draw needs computed once.
#[derive(Debug)]
pub(super) enum Shares {
    /// All the same: a draw is one multiplication. The number of entries.
    Equal(u64),
    /// By weight: a draw is a binary search.
    Weighted {
        /// For each entry, the sum of its weight and of those before it.
        ends: Box<[u64]>,
        /// How far apart the points of successive turns are.
        stride: u64,
    },
}

impl Shares {
    /// `weights` are not 0.
    pub(super) fn new(weights: &[u32]) -> Self {
        // The same proportions in the smallest numbers make the shortest round.
        let common = weights.iter().fold(0, |common, &weight| gcd(common, u64::from(weight)));
        if weights.iter().all(|&weight| u64::from(weight) == common) {
            return Self::Equal(weights.len() as u64);
        }
        let mut total = 0;
        let end = |&weight: &u32| {
            total += u64::from(weight) / common;
            total
        };
        let ends = weights.iter().map(end).collect();
        Self::Weighted { ends, stride: stride(total) }
    }

    /// An entry by chance.
    pub(super) fn draw(&self, random: u64) -> usize {
        match self {
            Self::Equal(count) => scale(random, *count) as usize,
            Self::Weighted { ends, .. } => at_point(ends, scale(random, total(ends))),
        }
    }

    /// One of the others by chance; `None` if there are none.
    pub(super) fn draw_other(&self, first: usize, random: u64) -> Option<usize> {
        match self {
            Self::Equal(count) => {
                let drawn = scale(random, count.saturating_sub(1)) as usize;
                (*count > 1).then_some(drawn + usize::from(drawn >= first))
            }
            Self::Weighted { ends, .. } => {
                // The first one's share is cut out.
                let weight = self.weight(first);
                let rest = total(ends) - weight;
                let point = scale(random, rest);
                let before = ends[first] - weight;
                (rest > 0).then(|| at_point(ends, if point < before { point } else { point + weight }))
            }
        }
    }

    /// The entry whose turn it is. The points of a round are visited in strides of about the golden ratio. A stride that
    /// shares no factor with the round visits each point exactly once, so the shares are exact; the ratio keeps an
    /// entry's points apart.
    pub(super) fn turn(&self, turn: u64) -> usize {
        match self {
            Self::Equal(count) => (turn % count) as usize,
            Self::Weighted { ends, stride } => {
                let total = total(ends);
                let turn = turn % total;
                // 128-bit division is slow and only needed for huge weights.
                let point = match turn.checked_mul(*stride) {
                    Some(product) => product % total,
                    None => (u128::from(turn) * u128::from(*stride) % u128::from(total)) as u64,
                };
                at_point(ends, point)
            }
        }
    }

    /// Its weight in this list.
    pub(super) fn weight(&self, entry: usize) -> u64 {
        match self {
            Self::Equal(_) => 1,
            Self::Weighted { ends, .. } => {
                ends[entry] - entry.checked_sub(1).map_or(0, |before| ends[before])
            }
        }
    }
}

fn total(ends: &[u64]) -> u64 {
    ends.last().copied().unwrap_or(0)
}

/// The entry whose share of `0..total` holds `point`.
fn at_point(ends: &[u64], point: u64) -> usize {
    ends.partition_point(|&end| end <= point)
}

/// The number nearest below `total` times 0.618 that shares no factor with it.
fn stride(total: u64) -> u64 {
    let golden = scale(0x9e37_79b9_7f4a_7c15, total);
    // 1 always fits, so the search ends.
    (1..=golden.max(1)).rev().find(|&step| gcd(step, total) == 1).unwrap_or(1)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
