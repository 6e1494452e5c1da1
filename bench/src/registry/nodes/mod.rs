//! Several nodes of the platform on one PostgreSQL, of which one after the other is killed with -9 and started again,
//! under load. At the end, everything that was acknowledged is looked for at every node.

mod audit;
pub(super) mod cluster;
mod traffic;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use trellis_testkit::Postgres;

use super::act::Act;
use super::progress;
use super::servers::Programs;
use cluster::{Cluster, Names};
pub use traffic::Counts;
use traffic::Traffic;

/// Longest wait for every node to know what one was told before the load begins.
const SPREAD_LIMIT: Duration = Duration::from_secs(20);

/// How many nodes, how much load, how many kills.
#[derive(Debug, Clone)]
pub struct Options {
    /// Nodes on one database.
    pub nodes: usize,
    /// How often one of them is killed, in turn.
    pub kills: usize,
    /// Clients of each kind: those that discover, for each node; those that register, write, renew, for all together.
    pub clients: usize,
    /// From the moment a killed node serves again to the next kill.
    pub pause: Duration,
    /// Pause of each client between an answer and what it asks next: the load is to be steady, not the most there is.
    pub think: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 2,
            kills: 10,
            clients: 8,
            pause: Duration::from_secs(2),
            think: Duration::from_millis(2),
        }
    }
}

/// What became of them.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Nodes on one database.
    pub nodes: usize,
    /// One for each kill: from the start of the next process to its first right answer.
    pub serves_again_ms: Vec<f64>,
    /// What the clients saw.
    pub counts: Counts,
    /// Registrations and configuration writes that were acknowledged, and that a node does not know at the end; the
    /// first twenty in words.
    pub lost: u64,
    /// Which.
    pub missing: Vec<String>,
    /// Failures in words, the first of each kind.
    pub reasons: Vec<String>,
}

impl Report {
    /// Nothing was lost, and whoever was not killed was asked in vain by nobody.
    pub fn is_whole(&self) -> bool {
        self.lost == 0 && self.counts.failed_discoveries == 0
    }
}

pub(super) async fn run(programs: &Programs, options: &Options, folder: &Path) -> Result<Report> {
    ensure!(options.nodes > 0 && options.clients > 0, "nothing to measure");
    progress("[nodes] PostgreSQL is started");
    let postgres = Postgres::start()?;
    let stores = vec![postgres.fresh_database()?; options.nodes];
    let mut cluster = Cluster::start(programs, folder, &stores, Names::Shared).await?;
    let outcome = under_load(options, &mut cluster).await;
    outcome.with_context(|| cluster.last_words())
}

async fn under_load(options: &Options, cluster: &mut Cluster) -> Result<Report> {
    progress("[nodes] every node has to know what the first is told");
    traffic::prepare(cluster.state(0)).await?;
    for node in 0..cluster.len() {
        cluster.until(node, SPREAD_LIMIT, traffic::known()).await.with_context(|| {
            format!("node {} does not know what node 1 was told; do they share their state?", node + 1)
        })?;
    }
    let traffic = Traffic::start(options, cluster.states());
    let mut serves_again_ms = Vec::new();
    for kill in 0..options.kills {
        tokio::time::sleep(options.pause).await;
        let node = kill % cluster.len();
        cluster.kill(node).await?;
        let took = cluster.start_again(node, traffic::known()).await?;
        progress(&format!(
            "[nodes] kill {} of {}: node {} served again after {took:.0?}",
            kill + 1,
            options.kills,
            node + 1
        ));
        serves_again_ms.push(took.as_secs_f64() * 1000.0);
    }
    tokio::time::sleep(options.pause).await;
    progress("[nodes] everything acknowledged is looked for");
    let seen = traffic.stop().await?;
    cluster.all_run()?;
    let missing = audit::run(&cluster.states(), &seen.acknowledged).await?;
    Ok(Report {
        nodes: options.nodes,
        serves_again_ms,
        counts: seen.counts,
        lost: missing.len() as u64,
        missing: missing.into_iter().take(20).collect(),
        reasons: seen.reasons.into_iter().collect(),
    })
}

/// What has to be answered rightly before a node counts as one that serves.
pub(super) type Probe = Act;
