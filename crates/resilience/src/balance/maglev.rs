//! Maglev's table: members take entries in turn, each in an order of its own, until none is left.
//!
//! After "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016), section 3.4. The size is always the
//! same, however many members there are: a size that followed their number would move nearly every key when it changed.

use crate::dice::mix;

const FREE: u32 = u32::MAX;

/// The owner of each entry. The number of entries is the largest prime up to `most`, so that every step visits them all.
/// A member whose share is smaller than one entry may have none.
pub(super) fn build(keys: &[u64], weights: &[u32], most: usize) -> Box<[u32]> {
    let size = prime_up_to(most as u64);
    let heaviest = weights.iter().copied().max().map_or(1, u64::from);
    let mut table = vec![FREE; size as usize].into_boxed_slice();
    let turn = |((owner, &key), &weight): ((u32, &u64), &u32)| Turn {
        key,
        owner,
        weight: u64::from(weight),
        credit: 0,
        next: mix(key) % size,
        skip: mix(!key) % (size - 1) + 1,
    };
    let mut order: Vec<Turn> = (0..).zip(keys).zip(weights).map(turn).collect();
    // Which member comes first matters, so it must not depend on the order of the set.
    order.sort_unstable_by_key(|turn| turn.key);

    let mut free = size;
    // The heaviest takes an entry in each round, so there are no more rounds than entries.
    while free > 0 {
        for turn in &mut order {
            turn.credit += turn.weight;
            if turn.credit >= heaviest && free > 0 {
                turn.credit -= heaviest;
                turn.take(&mut table);
                free -= 1;
            }
        }
    }
    table
}

struct Turn {
    key: u64,
    owner: u32,
    weight: u64,
    /// Weight it has saved up; an entry costs that of the heaviest.
    credit: u64,
    next: u64,
    skip: u64,
}

impl Turn {
    /// Takes the next free entry in this member's order; there is one.
    fn take(&mut self, table: &mut [u32]) {
        let size = table.len() as u64;
        loop {
            let entry = &mut table[self.next as usize];
            self.next = (self.next + self.skip) % size;
            if *entry == FREE {
                *entry = self.owner;
                return;
            }
        }
    }
}

fn prime_up_to(most: u64) -> u64 {
    let is_prime = |&n: &u64| !(2..=n.isqrt()).any(|divisor| n.is_multiple_of(divisor));
    (2..=most).rev().find(is_prime).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_prime() {
        assert_eq!([64, 1000, 65_536, 65_537].map(prime_up_to), [61, 997, 65_521, 65_537]);
    }

    #[test]
    fn shares_follow_the_weights_closely() {
        let keys = [1, 2, 3].map(mix);
        let table = build(&keys, &[1, 2, 5], 65_537);
        for (owner, weight) in [(0, 1.0), (1, 2.0), (2, 5.0)] {
            let share = table.iter().filter(|&&o| o == owner).count() as f64 / table.len() as f64;
            assert!((share - weight / 8.0).abs() < 0.001, "{owner}: {share}");
        }
    }

    #[test]
    fn the_order_of_the_members_does_not_matter() {
        let there = build(&[7, 8, 9], &[1, 2, 3], 997);
        let back = build(&[9, 8, 7], &[3, 2, 1], 997);
        assert!(there.iter().zip(&back).all(|(a, b)| *a == 2 - b));
    }
}
