//! Choosing a member.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trellis_core::error::{Result, Retry};
use trellis_core::{Error, codes};
use trellis_resilience::{Loads, SlowStart};

use super::Cluster;
use super::attempt::Attempt;
use super::members::{Member, Members};

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
    slow_start: Option<&'m SlowStart>,
    who: Who,
    now: Instant,
}

/// Who may take a request. Those that are left out are asked again before nobody is: what is thought of them may be
/// wrong, and there is nothing left to lose.
#[derive(Debug, Clone, Copy)]
enum Who {
    Fit,
    /// Those that checks find healthy, though they answer worse than others.
    Healthy,
    Anyone,
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
        let member = &self.members.list[index];
        let is_wanted = match self.who {
            Who::Fit => member.shared.is_fit(self.now),
            Who::Healthy => member.shared.is_healthy(),
            Who::Anyone => true,
        };
        is_wanted && !self.tried.has(index)
    }

    fn outstanding(&self, index: usize) -> u32 {
        self.members.list[index].outstanding()
    }

    fn cost(&self, index: usize) -> f64 {
        let member = &self.members.list[index];
        member.ewma.as_ref().map_or(0.0, |ewma| ewma.cost(self.now, member.outstanding()))
    }

    fn warmth(&self, index: usize) -> f64 {
        let joined = self.members.list[index].shared.joined;
        match self.slow_start.zip(joined) {
            Some((slow, joined)) => slow.warmth(self.now.saturating_duration_since(joined)),
            None => 1.0,
        }
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
        while let Some(index) = self.pick(members, hash, tried, now) {
            let member = &members.list[index];
            tried.add(index);
            match member.shared.breaker.admit(now) {
                Ok(admission) => return Ok(Attempt::new(Arc::clone(member), admission, now)),
                Err(open) => {
                    reopens = Some(reopens.map_or(open.retry_after, |r| r.min(open.retry_after)));
                }
            }
        }
        Err(self.nobody(reopens))
    }

    fn pick(&self, members: &Members, hash: Option<u64>, tried: &Tried, now: Instant) -> Option<usize> {
        let pick = |who| {
            let slow_start = self.options.slow_start.as_ref();
            let choice = Choice { members, tried, slow_start, who, now };
            members.balancer.pick(&choice, hash, fastrand::u64(..))
        };
        pick(Who::Fit).or_else(|| {
            let any = |is: fn(&Member, Instant) -> bool| members.list.iter().any(|member| is(member, now));
            if any(|member, now| member.shared.is_fit(now)) {
                return None;
            }
            let is_someone_healthy = any(|member, _| member.shared.is_healthy());
            pick(if is_someone_healthy { Who::Healthy } else { Who::Anyone })
        })
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
