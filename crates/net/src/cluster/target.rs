//! Choosing a member.

use std::sync::Arc;
use std::time::Duration;

use trellis_core::error::{Result, Retry};
use trellis_core::{Error, codes};
use trellis_resilience::Loads;

use super::Cluster;
use super::members::{Attempt, Members};

/// The members that a request has been to, or that would not take it.
#[derive(Debug, Default)]
pub(super) struct Tried {
    first: u64,
    /// Beyond the first 64; rarely any.
    more: Vec<usize>,
}

/// The members as the balancer sees them on behalf of one request.
struct Choice<'m> {
    members: &'m Members,
    tried: &'m Tried,
}

impl Tried {
    fn add(&mut self, index: usize) {
        match u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)) {
            Some(bit) => self.first |= bit,
            None => self.more.push(index),
        }
    }

    fn has(&self, index: usize) -> bool {
        match u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)) {
            Some(bit) => self.first & bit != 0,
            None => self.more.contains(&index),
        }
    }
}

impl Loads for Choice<'_> {
    fn is_eligible(&self, index: usize) -> bool {
        !self.tried.has(index)
    }

    fn outstanding(&self, index: usize) -> u32 {
        self.members.list[index].outstanding()
    }

    fn cost(&self, _index: usize) -> f64 {
        0.0
    }
}

impl Cluster {
    /// The members that `worker` sees.
    pub(super) fn members(&self, worker: usize) -> Arc<Members> {
        self.shard(worker).members(&self.known, &self.options, &self.pool)
    }

    /// Picks a member that is not in `tried` and whose breaker lets the request through.
    pub(super) fn choose(&self, members: &Members, hash: Option<u64>, tried: &mut Tried) -> Result<Attempt> {
        let now = tokio::time::Instant::now().into_std();
        let mut reopens: Option<Duration> = None;
        while let Some(index) = members.balancer.pick(&Choice { members, tried }, hash, fastrand::u64(..)) {
            let member = &members.list[index];
            tried.add(index);
            match member.shared.breaker.admit(now) {
                Ok(admission) => return Ok(Attempt::new(Arc::clone(member), admission)),
                Err(open) => {
                    reopens = Some(reopens.map_or(open.retry_after, |r| r.min(open.retry_after)));
                }
            }
        }
        Err(self.nobody(reopens))
    }

    fn nobody(&self, reopens: Option<Duration>) -> Error {
        let name = &self.name;
        match reopens {
            Some(wait) => {
                Error::new(codes::BREAKER_OPEN, format!("{name} has failed too often and is left alone"))
                    .retry(Retry::After(wait))
            }
            None => Error::new(codes::NO_ENDPOINT, format!("{name} has no healthy instance")),
        }
        .with("service", name.as_str())
    }
}
