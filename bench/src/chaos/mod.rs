//! Places orders from many clients while services are killed with -9 one after another, waits until the shop is quiet,
//! and audits what is left.

mod clients;
mod killer;
mod settle;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tokio::task::JoinSet;

pub use clients::Tally;
pub use killer::Kill;

use crate::audit::{Outcome, Snapshot, Violation, audit};
use crate::money::Cents;
use crate::platform::{Phase, Platform, Programs};
use crate::shop::{Shop, Stock};

/// How hard, how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the shop runs.
    pub phase: Phase,
    /// Clients at once, each with an order under way at all times.
    pub clients: usize,
    /// How long new orders are placed.
    pub time: Duration,
    /// Wait between the recovery of one service and the kill of the next.
    pub pause: Duration,
    /// Shortest time between two kills of the same service; longer than the platform needs to call it recovered, or
    /// the restart back-off is what is measured.
    pub spare: Duration,
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
    /// Seconds during which new orders were placed.
    pub seconds: f64,
    /// Orders placed, by what came of them.
    pub orders: Tally,
    /// Completed orders in the shop that were not there before.
    pub completed: usize,
    /// Every kill, with the time until the service was ready again.
    pub kills: Vec<Kill>,
    /// Seconds from the last answer to a quiet shop.
    pub settled_in: f64,
    /// Broken promises.
    pub violations: Vec<Violation>,
}

/// Runs once, in `folder`.
pub async fn run(programs: &Programs, folder: &Path, options: &Options) -> Result<Report> {
    let platform = Arc::new(Platform::start(programs, folder, options.phase).await?);
    let outcome = attack(&platform, options).await;
    let outcome = outcome.with_context(|| format!("the platform's last words:\n{}", platform.last_words()));
    let platform = Arc::into_inner(platform).context("a task still holds the platform")?;
    let report = outcome?;
    platform.stop().await?;
    Ok(report)
}

/// What is ordered: enough for any run, and an article that runs out early, so that orders are refused and undone.
fn articles() -> Vec<Stock> {
    let article = |number: i64, available| Stock {
        sku: format!("chaos-{number}"),
        available,
        price: Cents(1000 + number),
    };
    let mut all: Vec<Stock> = (1..=5).map(|number| article(number, 1_000_000)).collect();
    all.push(article(6, 100));
    all
}

async fn attack(platform: &Arc<Platform>, options: &Options) -> Result<Report> {
    let gateway = platform.gateway();
    let mut shop = Shop::new(gateway, Duration::from_secs(30));
    // One for each client, so that every order in the end can be traced to the client that asked for it.
    let users = shop.create_users(options.clients).await?;
    let articles = articles();
    for article in &articles {
        shop.put_stock(article).await?;
    }
    let before = settle::snapshot(gateway, &Snapshot::default()).await?;

    let began = Instant::now();
    let end = tokio::time::Instant::now() + options.time;
    let mut tasks = JoinSet::new();
    for (index, user) in users.into_iter().enumerate() {
        let client = clients::Client::new(gateway, user, articles.clone(), index as u64);
        tasks.spawn(client.run(end, options.settle));
    }
    let kills = killer::run(platform, options, end).await;
    let seconds = began.elapsed().as_secs_f64();
    let mut tally = Tally::default();
    let mut attempts = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let done = done.context("a client failed")?;
        tally.add(&done.tally);
        attempts.extend(done.attempts);
    }
    let kills = kills?;

    let quiet = Instant::now();
    let (after, violations) = loop {
        settle::wait(platform, &before, options.settle.saturating_sub(quiet.elapsed())).await?;
        let after = settle::snapshot(gateway, &before).await?;
        let violations = audit(&before, &after, &attempts);
        // An order is called off before all of it is given back, so a moment is given for that; what is lost stays so.
        if violations.is_empty() || quiet.elapsed() > options.settle {
            break (after, violations);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let settled_in = quiet.elapsed().as_secs_f64();
    let acknowledged = attempts.iter().filter(|a| matches!(a.outcome, Outcome::Acknowledged { .. })).count();
    ensure!(acknowledged > 0, "no order was acknowledged: this run proves nothing");
    let completed = |snapshot: &Snapshot| snapshot.orders.iter().filter(|o| o.is_completed()).count();
    Ok(Report {
        phase: options.phase,
        clients: options.clients,
        seconds,
        orders: tally,
        completed: completed(&after).saturating_sub(completed(&before)),
        kills,
        settled_in,
        violations,
    })
}
