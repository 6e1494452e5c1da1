//! Every service is killed while clients order; nothing acknowledged is lost, nothing is done twice.

use std::time::Duration;

use anyhow::Result;

use trellis_bench::chaos::{self, Options};
use trellis_bench::platform::Phase;
use trellis_bench::print;

async fn nothing_is_lost(phase: Phase, seconds: u64, services: usize) -> Result<()> {
    let folder = crate::folder()?;
    let mut options = Options::new(phase, 40, Duration::from_secs(seconds));
    options.pause = Duration::from_secs(1);
    let report = chaos::run(&crate::programs()?, folder.path(), &options).await?;
    let told = format!("{}\ndata and log: {}", print::chaos(&report), folder.path().display());
    assert!(report.violations.is_empty(), "{told}");
    assert!(report.kills.len() >= services, "{told}");
    // Some orders run out of stock or are declined: undoing is part of what is tested.
    assert!(report.orders.refused > 0, "{told}");
    Ok(folder.close()?)
}

#[tokio::test]
async fn microservices_lose_nothing_when_each_is_killed() -> Result<()> {
    nothing_is_lost(Phase::Microservices, 12, 5).await
}

#[tokio::test]
async fn the_monolith_loses_nothing_when_it_is_killed() -> Result<()> {
    nothing_is_lost(Phase::Monolith, 8, 1).await
}
