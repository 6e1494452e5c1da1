//! Which of several instances takes the next request.

use std::sync::atomic::{AtomicU64, Ordering};

/// How a [`Balancer`] chooses. Weights are honoured by all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// In turn; heavy candidates are spread over the round, not served in one go.
    #[default]
    RoundRobin,
    /// By chance.
    Random,
    /// The less loaded of two taken by chance: nearly as good as asking all, without the herd that follows from it.
    LeastRequest,
}

/// What a balancer knows of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Share of traffic relative to the others; 0 is never picked.
    pub weight: u32,
    /// Requests it is working on now.
    pub outstanding: u32,
}

/// Picks candidates by one policy. Needs no lock: its only state is the turn.
#[derive(Debug)]
pub struct Balancer {
    policy: Policy,
    turn: AtomicU64,
}

impl Balancer {
    /// A balancer at its first turn.
    pub fn new(policy: Policy) -> Self {
        Self { policy, turn: AtomicU64::new(0) }
    }

    /// The index of the candidate to use. `random` is 64 random bits. `None` if there is no candidate with a weight.
    ///
    /// The candidates may differ from call to call.
    pub fn pick(&self, candidates: &[Candidate], random: u64) -> Option<usize> {
        let total: u64 = candidates.iter().map(|c| u64::from(c.weight)).sum();
        if total == 0 {
            return None;
        }
        let point = match self.policy {
            Policy::RoundRobin => self.next_turn(candidates, total),
            Policy::Random => scale(random, total),
            Policy::LeastRequest => return less_loaded(candidates, total, random),
        };
        at_point(candidates, point)
    }

    /// The points of a round are visited in strides of about the golden ratio. A stride that shares no factor with
    /// the round visits each point exactly once, so the shares are exact; the ratio keeps a candidate's points apart.
    fn next_turn(&self, candidates: &[Candidate], total: u64) -> u64 {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % total;
        if candidates.iter().all(|c| c.weight <= 1) {
            return turn;
        }
        let stride = u128::from(stride(total));
        (u128::from(turn) * stride % u128::from(total)) as u64
    }
}

/// The candidate whose share of `0..total` holds `point`.
fn at_point(candidates: &[Candidate], mut point: u64) -> Option<usize> {
    candidates.iter().position(|candidate| {
        let weight = u64::from(candidate.weight);
        let here = point < weight;
        point = point.saturating_sub(weight);
        here
    })
}

fn less_loaded(candidates: &[Candidate], total: u64, random: u64) -> Option<usize> {
    let first = at_point(candidates, scale(random, total))?;
    let a = candidates[first];
    let rest = total - u64::from(a.weight);
    if rest == 0 {
        return Some(first);
    }
    // The second is drawn from what remains when the first one's share is cut out.
    let before: u64 = candidates[..first].iter().map(|c| u64::from(c.weight)).sum();
    let point = scale(mix(random), rest);
    let second = at_point(candidates, if point < before { point } else { point + u64::from(a.weight) })?;
    let b = candidates[second];
    // Compares load per weight without dividing. A tie goes to the first, which was drawn by weight.
    let b_is_lighter =
        u64::from(b.outstanding) * u64::from(a.weight) < u64::from(a.outstanding) * u64::from(b.weight);
    Some(if b_is_lighter { second } else { first })
}

/// Maps 64 random bits to `0..bound`, evenly.
fn scale(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

/// A second independent-looking number from the first (the finaliser of `SplitMix64`).
fn mix(random: u64) -> u64 {
    let z = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn idle(weights: &[u32]) -> Vec<Candidate> {
        weights.iter().map(|&weight| Candidate { weight, outstanding: 0 }).collect()
    }

    fn picks(balancer: &Balancer, candidates: &[Candidate], count: u64) -> Vec<usize> {
        (0..count).filter_map(|i| balancer.pick(candidates, mix(i))).collect()
    }

    fn share(picked: &[usize], of: usize) -> f64 {
        picked.iter().filter(|&&p| p == of).count() as f64 / picked.len() as f64
    }

    const POLICIES: [Policy; 3] = [Policy::RoundRobin, Policy::Random, Policy::LeastRequest];

    #[test]
    fn an_empty_set_is_none() {
        for policy in POLICIES {
            assert_eq!(Balancer::new(policy).pick(&[], 7), None);
            assert_eq!(Balancer::new(policy).pick(&idle(&[0, 0]), 7), None);
        }
    }

    #[test]
    fn equals_take_turns() {
        let balancer = Balancer::new(Policy::RoundRobin);
        assert_eq!(picks(&balancer, &idle(&[1, 1, 0, 1]), 6), [0, 1, 3, 0, 1, 3]);
    }

    #[test]
    fn the_heavy_one_does_not_take_its_turns_in_one_go() {
        let balancer = Balancer::new(Policy::RoundRobin);
        assert_eq!(picks(&balancer, &idle(&[5, 1, 1]), 7), [0, 0, 0, 1, 0, 2, 0]);
    }

    #[test]
    fn chance_follows_the_weights_when_all_are_idle() {
        for policy in POLICIES {
            let picked = picks(&Balancer::new(policy), &idle(&[1, 3]), 20_000);
            assert!((share(&picked, 0) - 0.25).abs() < 0.02, "{policy:?}: {}", share(&picked, 0));
        }
    }

    #[test]
    fn the_less_loaded_of_two_wins() {
        let balancer = Balancer::new(Policy::LeastRequest);
        let busy = [Candidate { weight: 1, outstanding: 9 }, Candidate { weight: 1, outstanding: 2 }];
        assert!(picks(&balancer, &busy, 100).iter().all(|&p| p == 1));
        // Nine requests on ten times the weight is less than two on one.
        let strong = [Candidate { weight: 10, outstanding: 9 }, Candidate { weight: 1, outstanding: 2 }];
        assert!(picks(&balancer, &strong, 100).iter().all(|&p| p == 0));
    }

    proptest! {
        #[test]
        fn only_candidates_with_weight_are_picked(
            set in prop::collection::vec((0_u32..4, 0_u32..50), 1..20), random: u64, turns in 0_u64..50,
        ) {
            let candidates: Vec<_> = set.iter().map(|&(weight, outstanding)| Candidate { weight, outstanding }).collect();
            for policy in POLICIES {
                let balancer = Balancer::new(policy);
                for turn in 0..=turns {
                    match balancer.pick(&candidates, random.wrapping_add(mix(turn))) {
                        Some(index) => prop_assert!(candidates[index].weight > 0),
                        None => prop_assert!(candidates.iter().all(|c| c.weight == 0)),
                    }
                }
            }
        }

        #[test]
        fn each_round_gives_every_candidate_exactly_its_weight(weights in prop::collection::vec(0_u32..40, 1..12), start in 0_u64..500) {
            let candidates = idle(&weights);
            let total: u64 = weights.iter().map(|&w| u64::from(w)).sum();
            let balancer = Balancer::new(Policy::RoundRobin);
            picks(&balancer, &candidates, start);
            let round = picks(&balancer, &candidates, total);
            for (index, &weight) in weights.iter().enumerate() {
                prop_assert_eq!(round.iter().filter(|&&p| p == index).count(), weight as usize);
            }
        }

        #[test]
        fn weights_of_any_size_do_not_overflow(weights in prop::collection::vec(any::<u32>(), 1..8), outstanding: u32, random: u64) {
            let candidates: Vec<_> = weights.iter().map(|&weight| Candidate { weight, outstanding }).collect();
            for policy in POLICIES {
                let picked = Balancer::new(policy).pick(&candidates, random);
                prop_assert_eq!(picked.is_some(), weights.iter().any(|&w| w > 0));
            }
        }
    }
}
