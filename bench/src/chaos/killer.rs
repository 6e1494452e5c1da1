//! Kills each service in turn and waits for the platform to bring it back.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};

use super::Options;
use crate::platform::{Platform, Process, kill};

/// How often the admin API is asked whether a service is back.
const POLL: Duration = Duration::from_millis(20);

/// One kill -9.
#[derive(Debug, Clone, Serialize)]
pub struct Kill {
    /// Which service's process.
    pub id: String,
    /// Milliseconds until it was ready again.
    pub back_in_ms: u64,
}

/// Kills for `options.time`, and longer if it takes longer to kill each service once. Fails if one does not come back.
pub(super) async fn run(platform: &Platform, options: &Options) -> Result<Vec<Kill>> {
    let end = Instant::now() + options.time;
    let all = platform.processes().await?;
    ensure!(!all.is_empty(), "the platform runs no process");
    let mut last: BTreeMap<String, Option<Instant>> =
        all.into_iter().map(|process| (process.id, None)).collect();
    let mut kills = Vec::new();
    // Never killed comes first, then longest ago.
    while let Some((id, at)) = last.iter().min_by_key(|(_, at)| **at).map(|(id, at)| (id.clone(), *at)) {
        let earliest = Instant::now() + options.pause;
        let next = at.map_or(earliest, |at| earliest.max(at + options.spare));
        if next >= end && at.is_some() {
            break;
        }
        sleep_until(next).await;
        kills.push(kill_one(platform, &id, options.settle).await?);
        last.insert(id, Some(Instant::now()));
    }
    sleep_until(end).await;
    Ok(kills)
}

async fn kill_one(platform: &Platform, id: &str, limit: Duration) -> Result<Kill> {
    let victim = find(platform, id).await?.pid.with_context(|| format!("{id} does not run"))?;
    let began = Instant::now();
    kill(victim)?;
    loop {
        let process = find(platform, id).await?;
        if process.state == "ready" && process.pid.is_some_and(|pid| pid != victim) {
            return Ok(Kill { id: id.into(), back_in_ms: began.elapsed().as_millis() as u64 });
        }
        ensure!(began.elapsed() < limit, "{id} was not back within {limit:?}; it is {process:?}");
        sleep(POLL).await;
    }
}

async fn find(platform: &Platform, id: &str) -> Result<Process> {
    let found = platform.processes().await?.into_iter().find(|process| process.id == id);
    found.with_context(|| format!("the admin API no longer knows {id}"))
}
