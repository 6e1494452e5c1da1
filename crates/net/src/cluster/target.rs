//! Choosing a member.

use std::sync::Arc;
use std::time::Duration;

use trellis_core::error::{Result, Retry};
use trellis_core::{Error, codes};
use trellis_resilience::balance::Candidate;

use super::Cluster;
use super::members::{Attempt, Members};

impl Cluster {
    /// The members that `worker` sees.
    pub(super) fn members(&self, worker: usize) -> Arc<Members> {
        self.shard(worker).members(&self.known, &self.options.breaker, &self.pool)
    }

    /// Picks a member that is not in `tried` and whose breaker lets the request through.
    pub(super) fn choose(&self, members: &Members, tried: &mut Vec<usize>) -> Result<Attempt> {
        let now = tokio::time::Instant::now().into_std();
        let mut candidates: Vec<Candidate> = members
            .list
            .iter()
            .map(|m| Candidate { weight: m.endpoint.weight, outstanding: m.outstanding() })
            .collect();
        for index in tried.iter() {
            candidates[*index].weight = 0;
        }
        let mut reopens: Option<Duration> = None;
        while let Some(index) = self.balancer.pick(&candidates, fastrand::u64(..)) {
            let member = &members.list[index];
            match member.shared.breaker.admit(now) {
                Ok(admission) => {
                    tried.push(index);
                    return Ok(Attempt::new(member.clone(), admission));
                }
                Err(open) => {
                    candidates[index].weight = 0;
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
