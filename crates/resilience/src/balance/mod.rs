//! Which of several instances takes the next request.
//!
//! Whatever depends on the set of instances alone is computed once, when a [`Balancer`] is made from it. A pick then
//! draws one (or two) and asks only about those; it allocates nothing and takes no lock. Only when the drawn ones cannot
//! take the request does it look at all of them, so that an eligible one is found whenever there is one.

mod draw;
mod group;
mod hash;
mod maglev;
mod ring;
mod table;
#[cfg(test)]
mod tests;
mod zone;

use group::Group;
pub use hash::{hash, hash_with};
use zone::Zone;

/// How a [`Balancer`] chooses. Weights are honoured by all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// In turn; heavy members are spread over the round, not served in one go.
    #[default]
    RoundRobin,
    /// By chance.
    Random,
    /// The less loaded of two taken by chance: nearly as good as asking all, without the herd that follows from it.
    LeastRequest,
    /// The one of two taken by chance that is expected to answer sooner, by [`Loads::cost`].
    PeakEwma,
    /// The same key to the same member, by a ring of points (ketama). When a member goes, only its keys move.
    RingHash,
    /// The same key to the same member, by a table (Maglev). Shares are more even than those of a ring; when a member
    /// goes, a few keys of others move as well.
    Maglev,
}

/// What stays true of one instance as long as the set of instances is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot<'a> {
    /// Who it is; decides which keys it gets.
    pub id: &'a str,
    /// Share of traffic relative to the others; 0 is never picked.
    pub weight: u32,
    /// Where it runs.
    pub zone: Option<&'a str>,
}

/// What changes from request to request, asked by the index of the slot. Answers may change at any time.
pub trait Loads {
    /// Whether it may take this request: not ejected, not tried already.
    fn is_eligible(&self, index: usize) -> bool;

    /// Requests it is working on now.
    fn outstanding(&self, index: usize) -> u32;

    /// What a request to it is expected to cost, in nanoseconds; see [`PeakEwma`](crate::PeakEwma).
    fn cost(&self, index: usize) -> f64;

    /// Which part of its weight counts while it starts, from 0 to 1; see [`SlowStart`](crate::SlowStart).
    fn warmth(&self, _index: usize) -> f64 {
        1.0
    }
}

/// How a [`Balancer`] is made.
#[derive(Debug, Clone, PartialEq)]
pub struct BalancerOptions {
    /// How it chooses.
    pub policy: Policy,
    /// Our own zone: members that are in it are preferred.
    pub zone: Option<Box<str>>,
    /// Share of our zone's members that must be eligible for it to be preferred, from 0 to 1. Below it the few that are
    /// left would be overrun, and all zones share the load.
    pub zone_share: f64,
    /// Most entries of the ring or of the Maglev table, 64 to about a million. More make shares more even. An entry is
    /// 16 bytes of memory in a ring and 4 in a table.
    pub table: u32,
}

/// Picks members of one set by one policy.
#[derive(Debug)]
pub struct Balancer {
    policy: Policy,
    all: Group,
    near: Option<Zone>,
}

impl Default for BalancerOptions {
    fn default() -> Self {
        Self { policy: Policy::default(), zone: None, zone_share: 0.5, table: 65_537 }
    }
}

impl Balancer {
    /// A balancer over `slots`, at its first turn. With a hash policy this fills a table: milliseconds, not for the
    /// path of a request.
    pub fn new(options: &BalancerOptions, slots: &[Slot<'_>]) -> Self {
        Self {
            policy: options.policy,
            all: Group::new(options, slots, |_| true),
            near: Zone::new(options, slots),
        }
    }

    /// The same at another turn. Balancers that are made again for every change, or on many threads, would otherwise all
    /// begin with the first member; a random number keeps them apart.
    #[must_use]
    pub fn at_turn(mut self, turn: u64) -> Self {
        self.all.set_turn(turn);
        if let Some(near) = &mut self.near {
            near.group.set_turn(turn);
        }
        self
    }

    /// The index of the slot to use. `hash` is that of the request's key ([`hash`](fn@hash)) for the policies that
    /// keep keys together; without one they choose by chance. `random` is 64 random bits. `None` if no member with a
    /// weight is eligible.
    pub fn pick<L: Loads + ?Sized>(&self, loads: &L, hash: Option<u64>, random: u64) -> Option<usize> {
        let near = self.near.as_ref().filter(|zone| zone.is_preferred(loads, random));
        near.and_then(|zone| zone.group.pick(self.policy, loads, hash, random))
            .or_else(|| self.all.pick(self.policy, loads, hash, random))
    }
}
