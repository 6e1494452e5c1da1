//! A list of members that are drawn from.

use std::sync::atomic::{AtomicU64, Ordering};

use super::draw::Shares;
use super::table::Table;
use super::{BalancerOptions, Loads, Policy, Slot};
use crate::dice::{Draws, scale, unit};

/// Draws before all members are looked at. While half of them can take the request, one draw in 256 gets there.
const DRAWS: u32 = 8;

/// Draws for the second of two: without it the choice is by chance, which is not wrong.
const SECOND_DRAWS: u32 = 4;

/// Warmth is counted in this many steps where weights are added up.
const WARM: u64 = 256;

#[derive(Debug)]
pub(super) struct Group {
    /// The slots that have a weight. A place in this list is a position, a place in the caller's list an index.
    members: Box<[u32]>,
    shares: Shares,
    turn: AtomicU64,
    table: Option<Table>,
}

impl Group {
    /// Those of `slots` that have a weight and are `wanted`.
    pub(super) fn new(
        options: &BalancerOptions,
        slots: &[Slot<'_>],
        wanted: impl Fn(&Slot<'_>) -> bool,
    ) -> Self {
        let in_group = |(index, slot): (u32, &Slot<'_>)| (slot.weight > 0 && wanted(slot)).then_some(index);
        let members: Box<[u32]> = (0_u32..).zip(slots).filter_map(in_group).collect();
        let chosen: Vec<Slot<'_>> = members.iter().map(|&index| slots[index as usize]).collect();
        let weights: Vec<u32> = chosen.iter().map(|slot| slot.weight).collect();
        let table = match options.policy {
            Policy::RingHash if !chosen.is_empty() => Some(Table::ring(&chosen, options.table)),
            Policy::Maglev if !chosen.is_empty() => Some(Table::maglev(&chosen, options.table)),
            _ => None,
        };
        Self { members, shares: Shares::new(&weights), turn: AtomicU64::new(0), table }
    }

    pub(super) fn set_turn(&mut self, turn: u64) {
        *self.turn.get_mut() = turn;
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// How many can take a request, counted up to `enough`.
    pub(super) fn eligible<L: Loads + ?Sized>(&self, loads: &L, enough: usize) -> usize {
        self.members.iter().filter(|&&index| loads.is_eligible(index as usize)).take(enough).count()
    }

    pub(super) fn pick<L: Loads + ?Sized>(
        &self,
        policy: Policy,
        loads: &L,
        hash: Option<u64>,
        random: u64,
    ) -> Option<usize> {
        if self.members.len() <= 1 {
            return self.members.first().map(|&only| only as usize).filter(|&only| loads.is_eligible(only));
        }
        let mut draws = Draws::new(random);
        let position = match policy {
            Policy::RoundRobin => self.draw(loads, &mut draws, |_| {
                // A member that cannot take its turn loses it; the next one takes its own and not a second one.
                self.shares.turn(self.turn.fetch_add(1, Ordering::Relaxed))
            }),
            Policy::Random => self.draw(loads, &mut draws, |random| self.shares.draw(random)),
            Policy::LeastRequest => {
                self.better(loads, &mut draws, |index| f64::from(loads.outstanding(index)))
            }
            Policy::PeakEwma => self.better(loads, &mut draws, |index| loads.cost(index)),
            Policy::RingHash | Policy::Maglev => self.keyed(loads, hash.unwrap_or(random)),
        };
        position.map(|position| self.index(position))
    }

    /// A drawn member that takes the request, or any that can.
    #[inline]
    fn draw<L: Loads + ?Sized>(
        &self,
        loads: &L,
        draws: &mut Draws,
        entry: impl Fn(u64) -> usize,
    ) -> Option<usize> {
        for _ in 0..DRAWS {
            let position = entry(draws.next());
            if self.takes(loads, position, draws) {
                return Some(position);
            }
        }
        self.scan(loads, draws.next())
    }

    /// The better of two that were drawn, by load per weight. A tie goes to the first, which was drawn by weight.
    #[inline]
    fn better<L: Loads + ?Sized>(
        &self,
        loads: &L,
        draws: &mut Draws,
        load: impl Fn(usize) -> f64,
    ) -> Option<usize> {
        let first = self.draw(loads, draws, |random| self.shares.draw(random))?;
        for _ in 0..SECOND_DRAWS {
            let second = self.shares.draw_other(first, draws.next())?;
            if self.takes(loads, second, draws) {
                // Compares quotients without dividing.
                let second_load = load(self.index(second)) * self.warm_weight(loads, first);
                let first_load = load(self.index(first)) * self.warm_weight(loads, second);
                return Some(if second_load < first_load { second } else { first });
            }
        }
        Some(first)
    }

    /// The member that the key belongs to, or the next one on the table. What warmth keeps from a cold member are always
    /// the same keys, and fewer the warmer it gets: each moves once.
    fn keyed<L: Loads + ?Sized>(&self, loads: &L, hash: u64) -> Option<usize> {
        let table = self.table.as_ref()?;
        let takes = |position: usize| {
            let index = self.index(position);
            loads.is_eligible(index) && is_warm(loads.warmth(index), || table.chance(hash, position))
        };
        table.walk(hash).find(|&position| takes(position)).or_else(|| {
            let eligible =
                (0..self.members.len()).filter(|&position| loads.is_eligible(self.index(position)));
            let claims = eligible
                .map(|position| (table.claim(hash, position, self.shares.weight(position)), position));
            claims.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, position)| position)
        })
    }

    /// One of all that can, by weight and warmth.
    #[cold]
    fn scan<L: Loads + ?Sized>(&self, loads: &L, random: u64) -> Option<usize> {
        let weight = |position: usize| {
            let index = self.index(position);
            if !loads.is_eligible(index) {
                return 0;
            }
            // What is no number becomes 0.
            let steps = (loads.warmth(index) * WARM as f64) as u64;
            self.shares.weight(position).saturating_mul(steps.clamp(1, WARM))
        };
        let total = (0..self.members.len()).map(weight).fold(0, u64::saturating_add);
        let mut point = scale(random, total);
        // Answers may change between the two passes: then the last that could is as good as any.
        let mut last = None;
        for position in 0..self.members.len() {
            let weight = weight(position);
            if weight > 0 {
                last = Some(position);
            }
            if point < weight {
                break;
            }
            point -= weight;
        }
        last
    }

    #[inline]
    fn takes<L: Loads + ?Sized>(&self, loads: &L, position: usize, draws: &mut Draws) -> bool {
        let index = self.index(position);
        loads.is_eligible(index) && is_warm(loads.warmth(index), || unit(draws.next()))
    }

    #[inline]
    fn warm_weight<L: Loads + ?Sized>(&self, loads: &L, position: usize) -> f64 {
        let warmth = loads.warmth(self.index(position)).clamp(1.0 / WARM as f64, 1.0);
        self.shares.weight(position) as f64 * warmth
    }

    #[inline]
    fn index(&self, position: usize) -> usize {
        self.members[position] as usize
    }
}

/// A cold member takes the part of its draws that its warmth says.
#[inline]
fn is_warm(warmth: f64, chance: impl FnOnce() -> f64) -> bool {
    warmth >= 1.0 || chance() < warmth
}
