use proptest::prelude::*;

use super::*;
use crate::dice::mix;

const POLICIES: [Policy; 6] = [
    Policy::RoundRobin,
    Policy::Random,
    Policy::LeastRequest,
    Policy::PeakEwma,
    Policy::RingHash,
    Policy::Maglev,
];

/// What a test says of each member: load, eligible, warmth.
#[derive(Debug, Clone)]
struct Facts(Vec<(u32, bool, f64)>);

impl Loads for Facts {
    fn is_eligible(&self, index: usize) -> bool {
        self.0[index].1
    }

    fn outstanding(&self, index: usize) -> u32 {
        self.0[index].0
    }

    fn cost(&self, index: usize) -> f64 {
        f64::from(self.0[index].0)
    }

    fn warmth(&self, index: usize) -> f64 {
        self.0[index].2
    }
}

fn idle(count: usize) -> Facts {
    Facts(vec![(0, true, 1.0); count])
}

/// `(id, weight)` of each; those whose number is a multiple of `zones` are in zone `a`.
fn made(policy: Policy, members: &[(String, u32)], zone: Option<&str>, zones: usize) -> Balancer {
    let slot = |(n, (id, weight)): (usize, &'_ (String, u32))| (n, id.clone(), *weight);
    let owned: Vec<_> = members.iter().enumerate().map(slot).collect();
    let zone_of = |n: &usize| Some(if n.is_multiple_of(zones) { "a" } else { "b" });
    let slots: Vec<_> =
        owned.iter().map(|(n, id, weight)| Slot { id, weight: *weight, zone: zone_of(n) }).collect();
    let options = BalancerOptions { policy, zone: zone.map(Box::from), table: 4093, ..Default::default() };
    Balancer::new(&options, &slots)
}

fn named(weights: &[u32]) -> Vec<(String, u32)> {
    weights.iter().enumerate().map(|(n, &weight)| (format!("orders-{n}"), weight)).collect()
}

fn balancer(policy: Policy, weights: &[u32]) -> Balancer {
    made(policy, &named(weights), None, 1)
}

fn picks(balancer: &Balancer, facts: &Facts, count: u64) -> Vec<usize> {
    (0..count).filter_map(|i| balancer.pick(facts, None, mix(i))).collect()
}

fn share(picked: &[usize], of: usize) -> f64 {
    picked.iter().filter(|&&p| p == of).count() as f64 / picked.len() as f64
}

#[test]
fn an_empty_set_is_none() {
    for policy in POLICIES {
        assert_eq!(balancer(policy, &[]).pick(&idle(0), None, 7), None);
        assert_eq!(balancer(policy, &[0, 0]).pick(&idle(2), None, 7), None);
    }
}

#[test]
fn equals_take_turns() {
    assert_eq!(picks(&balancer(Policy::RoundRobin, &[1, 1, 0, 1]), &idle(4), 6), [0, 1, 3, 0, 1, 3]);
}

#[test]
fn turns_go_on_from_where_they_are_told() {
    let balancer = balancer(Policy::RoundRobin, &[1; 4]).at_turn(u64::MAX);
    assert_eq!(picks(&balancer, &idle(4), 5), [3, 0, 1, 2, 3]);
}

#[test]
fn a_missed_turn_does_not_double_that_of_the_next() {
    let mut facts = idle(4);
    facts.0[1].1 = false;
    assert_eq!(picks(&balancer(Policy::RoundRobin, &[1; 4]), &facts, 6), [0, 2, 3, 0, 2, 3]);
}

#[test]
fn the_heavy_one_does_not_take_its_turns_in_one_go() {
    let balancer = balancer(Policy::RoundRobin, &[500, 100, 100]);
    assert_eq!(picks(&balancer, &idle(3), 7), [0, 0, 0, 1, 0, 2, 0]);
}

#[test]
fn chance_follows_the_weights_when_all_are_idle() {
    for policy in POLICIES {
        let picked = picks(&balancer(policy, &[1, 3, 4]), &idle(3), 20_000);
        // A ring's shares vary with the places of its points.
        let near = if policy == Policy::RingHash { 0.06 } else { 0.02 };
        for (member, expected) in [(0, 0.125), (1, 0.375), (2, 0.5)] {
            let share = share(&picked, member);
            assert!((share - expected).abs() < near, "{policy:?} {member}: {share}");
        }
    }
}

#[test]
fn the_less_loaded_of_two_wins() {
    for policy in [Policy::LeastRequest, Policy::PeakEwma] {
        let busy = Facts(vec![(9, true, 1.0), (2, true, 1.0)]);
        assert!(picks(&balancer(policy, &[1, 1]), &busy, 100).iter().all(|&p| p == 1));
        // Nine requests on ten times the weight is less than two on one.
        assert!(picks(&balancer(policy, &[10, 1]), &busy, 100).iter().all(|&p| p == 0));
    }
}

#[test]
fn a_cold_member_gets_its_part() {
    for policy in POLICIES {
        let mut facts = idle(4);
        facts.0[2].2 = 0.2;
        let picked = picks(&balancer(policy, &[1; 4]), &facts, 20_000);
        let share = share(&picked, 2);
        assert!((share - 0.2 / 3.2).abs() < 0.02, "{policy:?}: {share}");
    }
}

#[test]
fn our_own_zone_is_preferred_while_half_of_it_is_there() {
    for policy in POLICIES {
        let balancer = made(policy, &named(&[1; 8]), Some("a"), 2);
        let mut facts = idle(8);
        assert!(picks(&balancer, &facts, 200).iter().all(|p| p % 2 == 0), "{policy:?}");
        (facts.0[0].1, facts.0[2].1) = (false, false);
        assert!(picks(&balancer, &facts, 200).iter().all(|p| p % 2 == 0), "{policy:?}");
        facts.0[4].1 = false;
        let picked = picks(&balancer, &facts, 2000);
        assert!(picked.iter().any(|p| p % 2 == 1) && picked.contains(&6), "{policy:?}");
        assert!(picked.iter().all(|&p| p != 4), "{policy:?}");
    }
}

#[test]
fn a_large_zone_is_counted_now_and_then() {
    let balancer = made(Policy::Random, &named(&[1; 400]), Some("a"), 2);
    let mut facts = idle(400);
    assert!(picks(&balancer, &facts, 500).iter().all(|p| p % 2 == 0));
    (0..400).filter(|n| n % 4 == 0).for_each(|n| facts.0[n].1 = false);
    facts.0[2].1 = false;
    let picked = picks(&balancer, &facts, 2000);
    assert!(share(&picked.iter().map(|p| p % 2).collect::<Vec<_>>(), 1) > 0.5);
}

#[test]
fn a_zone_without_members_is_no_zone() {
    for zone in ["a", "elsewhere"] {
        let balancer = made(Policy::Random, &named(&[1; 3]), Some(zone), 1);
        assert_eq!(picks(&balancer, &idle(3), 100).len(), 100);
    }
}

#[test]
fn a_member_that_goes_moves_few_keys_of_others() {
    for gone in 0..10 {
        let mut members = named(&[1; 10]);
        let before = made(Policy::Maglev, &members, None, 1);
        members[gone].1 = 0;
        let after = made(Policy::Maglev, &members, None, 1);
        let moved = (0..20_000_u64).filter(|&key| {
            let (old, new) = (before.pick(&idle(10), Some(key), 0), after.pick(&idle(10), Some(key), 0));
            old != Some(gone) && old != new
        });
        let moved = moved.count() as f64 / 20_000.0;
        assert!(moved < 0.06, "{moved}");
    }
}

proptest! {
    #[test]
    fn an_eligible_member_with_weight_is_found_if_there_is_one(
        set in prop::collection::vec((0_u32..4, 0_u32..50, prop::bool::weighted(0.2), 0.0..2.0), 1..40),
        random: u64, hash: Option<u64>, zone in prop::option::of("[ab]"),
    ) {
        let weights: Vec<_> = set.iter().map(|m| m.0).collect();
        let facts = Facts(set.iter().map(|m| (m.1, m.2, m.3)).collect());
        let takes = |n: usize| weights[n] > 0 && facts.is_eligible(n);
        for policy in POLICIES {
            let balancer = made(policy, &named(&weights), zone.as_deref(), 3);
            for turn in 0..20 {
                match balancer.pick(&facts, hash, random.wrapping_add(mix(turn))) {
                    Some(index) => prop_assert!(takes(index)),
                    None => prop_assert!(!(0..weights.len()).any(takes)),
                }
            }
        }
    }

    #[test]
    fn each_round_gives_every_member_exactly_its_weight(
        weights in prop::collection::vec(0_u32..40, 2..12), start in 0_u64..500,
    ) {
        let facts = idle(weights.len());
        let total: u64 = weights.iter().map(|&w| u64::from(w)).sum();
        let balancer = balancer(Policy::RoundRobin, &weights);
        picks(&balancer, &facts, start);
        let round = picks(&balancer, &facts, total);
        for (index, &weight) in weights.iter().enumerate() {
            prop_assert_eq!(round.iter().filter(|&&p| p == index).count(), weight as usize);
        }
    }

    #[test]
    fn numbers_of_any_size_do_no_harm(
        set in prop::collection::vec((any::<u32>(), any::<u32>(), any::<bool>(), prop_oneof![any::<f64>(), Just(f64::NAN)]), 1..8), random: u64,
    ) {
        let weights: Vec<_> = set.iter().map(|m| m.0).collect();
        let facts = Facts(set.iter().map(|m| (m.1, m.2, m.3)).collect());
        for policy in POLICIES {
            let picked = balancer(policy, &weights).pick(&facts, None, random);
            prop_assert_eq!(picked.is_some(), set.iter().any(|m| m.0 > 0 && m.2));
        }
    }

    #[test]
    fn a_key_stays_where_it_is(weights in prop::collection::vec(1_u32..5, 1..12), key: u64, randoms: [u64; 2]) {
        let facts = idle(weights.len());
        for policy in [Policy::RingHash, Policy::Maglev] {
            let balancer = balancer(policy, &weights);
            let [one, two] = randoms.map(|random| balancer.pick(&facts, Some(key), random));
            prop_assert_eq!(one, two);
        }
    }

    #[test]
    fn the_ring_moves_only_the_keys_of_who_is_gone(
        weights in prop::collection::vec(1_u32..3, 2..8), gone: prop::sample::Index, eject: bool, salt: u64,
    ) {
        let gone = gone.index(weights.len());
        let mut members = named(&weights);
        let before = made(Policy::RingHash, &members, None, 1);
        let mut facts = idle(weights.len());
        if eject {
            facts.0[gone].1 = false;
        } else {
            members[gone].1 = 0;
        }
        let after = made(Policy::RingHash, &members, None, 1);
        for key in (0..200).map(|n| mix(n ^ salt)) {
            let old = before.pick(&idle(weights.len()), Some(key), 0);
            let new = after.pick(&facts, Some(key), 0);
            prop_assert_eq!(old == Some(gone), new != old);
        }
    }

    #[test]
    fn a_member_that_warms_up_takes_each_key_once(key: u64, cold in 0_usize..5) {
        let mut facts = idle(5);
        for policy in [Policy::RingHash, Policy::Maglev] {
            let balancer = balancer(policy, &[1; 5]);
            let mut has_moved = false;
            for step in 0..=10 {
                facts.0[cold].2 = f64::from(step) / 10.0;
                let is_there = balancer.pick(&facts, Some(key), 0) == Some(cold);
                prop_assert!(is_there || !has_moved);
                has_moved = is_there;
            }
        }
    }
}
