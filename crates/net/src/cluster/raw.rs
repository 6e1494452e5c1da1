//! A connection to a member that is used for something else than HTTP.

use std::time::Duration;

use tokio::time::Instant;
use trellis_core::error::Result;
use trellis_core::{Error, codes};
use trellis_resilience::breaker::Outcome;

use super::Cluster;
use super::attempt::Attempt;
use super::target::Tried;
use crate::client::Stream;

impl Cluster {
    /// Connects to a member, to another one if that fails, each within `limit`. The attempt counts as load until it is
    /// dropped.
    pub async fn connect(&self, worker: usize, limit: Duration) -> Result<(Stream, Attempt)> {
        let members = self.members(worker);
        let mut tried = Tried::default();
        let mut last: Option<Error> = None;
        for _ in 0..=self.options.connect_retries {
            let mut attempt = match self.choose(&members, None, &mut tried) {
                Ok(attempt) => attempt,
                Err(nobody) => return Err(last.unwrap_or(nobody)),
            };
            let connected = attempt.member().pool.open(limit).await;
            let now = Instant::now().into_std();
            match connected {
                Ok(stream) => {
                    attempt.verdict(Outcome::Success, now);
                    return Ok((stream, attempt));
                }
                Err(error) => {
                    attempt.verdict(Outcome::Failure, now);
                    let what = format!("{} does not accept connections", self.name);
                    last = Some(
                        Error::new(codes::CONNECT_FAILED, what)
                            .with("service", self.name.as_str())
                            .because(error),
                    );
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::new(codes::CONNECT_FAILED, "no connection was tried")))
    }
}
