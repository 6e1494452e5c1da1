//! What clients notice while things change: the whole configuration, the instances behind it, the gateway's own
//! process. The load goes on at its rate whatever the answers do, and every request that is not answered well counts.

mod flips;
mod gateway;
mod handover;
mod load;
mod rolling;
mod service;
mod services;
mod tally;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

pub use service::{Args, run as serve};
pub use tally::Failure;

use super::figures::median;
use super::session::Session;
use super::target::Target;
use super::{Figures, Scenario};
use load::Seen;
use services::Audit;

/// The load, and how much is changed under it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Requests in a second.
    pub rate: u32,
    /// Connections that are kept.
    pub connections: usize,
    /// Changes of the whole configuration.
    pub flips: usize,
    /// Routes in each of the two tables.
    pub routes: usize,
    /// Restarts of instances.
    pub restarts: usize,
    /// Replacements of the gateway's process.
    pub handovers: usize,
    /// Time from one change of the configuration to the next.
    pub flip_pause: Duration,
    /// Quiet time after any other change.
    pub pause: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rate: 2000,
            connections: 64,
            flips: 100,
            routes: 1000,
            restarts: 20,
            handovers: 5,
            flip_pause: Duration::from_millis(300),
            pause: Duration::from_secs(1),
        }
    }
}

/// What clients noticed.
#[derive(Debug, Serialize)]
pub struct Changed {
    /// Requests in a second, as wanted.
    pub rate: u32,
    /// Requests that were sent, or should have been.
    pub requests: u64,
    /// Those that were not answered, or not well.
    pub failed: u64,
    /// Failures by what went wrong.
    pub reasons: BTreeMap<String, u64>,
    /// The first of them, closely.
    pub failures: Vec<Failure>,
    /// From when a request should have been sent to its answer: half were faster.
    pub p50_ms: f64,
    /// 99 in a hundred were faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// Connections that were made.
    pub connections: u64,
    /// Connections that the gateway closed between two requests, without a word before.
    pub closed_unasked: u64,
    /// How long each change took.
    pub changes_ms: Vec<f64>,
    /// The one in the middle.
    pub median_change_ms: f64,
    /// The slowest.
    pub slowest_change_ms: f64,
    /// POST requests that arrived at a service.
    pub posts: u64,
    /// Those that arrived more than once.
    pub repeated: u64,
    /// Answered POST requests that arrived nowhere.
    pub unheard: u64,
}

pub(super) async fn run(session: &Session<'_>, scenario: Scenario) -> Result<(Figures, Vec<Target>)> {
    let changed = match scenario {
        Scenario::Flips => flips::run(session).await?,
        Scenario::Rolling => rolling::run(session).await?,
        _ => handover::run(session).await?,
    };
    let targets = vec![
        Target::at_most("requests that failed", changed.failed as f64, 0.0),
        Target::at_most("POST requests that arrived twice", changed.repeated as f64, 0.0),
        Target::at_most("answered POST requests that never arrived", changed.unheard as f64, 0.0),
    ];
    Ok((Figures::Changed(changed), targets))
}

impl Changed {
    fn new(options: &Options, seen: Seen, changes_ms: Vec<f64>, audit: &Audit) -> Self {
        let ms = |quantile: f64| seen.micros.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            rate: options.rate,
            requests: seen.requests,
            failed: seen.reasons.values().sum(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            max_ms: ms(1.0),
            reasons: seen.reasons,
            failures: seen.failures,
            connections: seen.connections,
            closed_unasked: seen.closed_unasked,
            median_change_ms: median(changes_ms.iter().copied()),
            slowest_change_ms: changes_ms.iter().copied().fold(0.0, f64::max),
            changes_ms,
            posts: audit.posts,
            repeated: audit.repeated,
            unheard: audit.unheard,
        }
    }
}
