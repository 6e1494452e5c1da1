//! Places orders from many clients while services are killed with -9 one after another, and then the platform itself;
//! waits until the shop is quiet, and audits what is left.

mod clients;
mod crowd;
mod killer;
mod settle;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tokio::time::sleep;

pub use clients::Tally;
pub use killer::Kill;

use crate::audit::{Snapshot, Violation};
use crate::platform::{self, Phase, Platform, Programs};
use crowd::Crowd;

/// How hard, how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the shop runs.
    pub phase: Phase,
    /// Clients at once, each with an order under way at all times.
    pub clients: usize,
    /// How long new orders are placed; longer if it takes longer to kill each service once.
    pub time: Duration,
    /// Wait between the recovery of one service and the kill of the next.
    pub pause: Duration,
    /// Shortest time between two kills of the same service; longer than the platform needs to call it recovered, or
    /// the restart back-off is what is measured.
    pub spare: Duration,
    /// How long orders are placed before the platform itself is killed.
    pub crash_after: Duration,
    /// Longest wait for orders under way to be answered and for the shop to become quiet.
    pub settle: Duration,
}

impl Options {
    /// `clients` for `time`.
    pub fn new(phase: Phase, clients: usize, time: Duration) -> Self {
        Self {
            phase,
            clients,
            time,
            pause: Duration::from_secs(2),
            spare: Duration::from_secs(12),
            crash_after: Duration::from_secs(3),
            settle: Duration::from_mins(1),
        }
    }
}

/// What happened, and what is wrong with it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How the shop ran.
    pub phase: Phase,
    /// Clients at once.
    pub clients: usize,
    /// Seconds during which new orders were placed and services killed.
    pub seconds: f64,
    /// Orders placed, by what came of them.
    pub orders: Tally,
    /// Every kill, with the time until the service was ready again; the last one is the platform itself, started
    /// again at once.
    pub kills: Vec<Kill>,
    /// Seconds from the last answer to a quiet shop, after the services' kills.
    pub settled_in: f64,
    /// Broken promises.
    pub violations: Vec<Violation>,
}

/// Runs once, in `folder`.
pub async fn run(programs: &Programs, folder: &Path, options: &Options) -> Result<Report> {
    let report = attack(programs, folder, options).await;
    report.with_context(|| format!("the platform's last words:\n{}", platform::last_words(folder)))
}

async fn attack(programs: &Programs, folder: &Path, options: &Options) -> Result<Report> {
    let platform = Platform::start(programs, folder, options.phase).await?;
    let mut crowd = Crowd::gather(platform.gateway(), options.clients).await?;
    let before = settle::snapshot(platform.gateway(), &Snapshot::default()).await?;

    let began = Instant::now();
    let ordering = crowd.order(platform.gateway());
    let kills = killer::run(&platform, options).await;
    crowd.note(ordering.close(options.settle).await?);
    let (mut kills, seconds) = (kills?, began.elapsed().as_secs_f64());
    ensure!(crowd.tally.acknowledged > 0, "no order was acknowledged: this run proves nothing");
    let quiet = settle::quiet(&platform, &before, &crowd.attempts, options.settle).await?;
    let settled_in = quiet.after.as_secs_f64();
    let mut violations = quiet.violations;

    if violations.is_empty() {
        let ordering = crowd.order(platform.gateway());
        sleep(options.crash_after).await;
        let killed = Instant::now();
        platform.crash().await?;
        crowd.note(ordering.close(Duration::ZERO).await?);
        let platform = Platform::start(programs, folder, options.phase).await?;
        kills.push(Kill { id: "trellis".into(), back_in_ms: killed.elapsed().as_millis() as u64 });
        violations = settle::quiet(&platform, &before, &crowd.attempts, options.settle).await?.violations;
        platform.stop().await?;
    }
    let (phase, clients, orders) = (options.phase, options.clients, crowd.tally);
    Ok(Report { phase, clients, seconds, orders, kills, settled_in, violations })
}
