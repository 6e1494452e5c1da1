//! Clients that fight for locks over the door for Consul, at several nodes on one PostgreSQL, while nodes are killed or cut
//! off from it, PostgreSQL stops, and clients vanish. What they saw is judged at the end.

mod calls;
mod faults;
mod fighter;
mod story;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tokio::task::JoinSet;
use trellis_testkit::{Link, Postgres};

use super::act::{Act, Key};
use super::caller::Way;
use super::nodes::cluster::{Cluster, Names};
use super::progress;
use super::servers::Programs;
use calls::Kind;
pub use faults::{Fault, Suffered};
use faults::{Faults, PROBE};
use fighter::{Fighter, Habit, Nodes};
pub use story::Counts;
use story::Story;

/// Longest wait for every node to know what one was told before the fight begins.
const SPREAD_LIMIT: Duration = Duration::from_secs(20);
/// Longest wait for locks to go round again, and for a node to be one of them again, after a fault is over.
const RESUME_LIMIT: Duration = Duration::from_mins(2);
/// How often it is looked.
const POLL: Duration = Duration::from_millis(10);

/// How many fight for how much, and what happens to them.
#[derive(Debug, Clone)]
pub struct Options {
    /// Nodes on one database.
    pub nodes: usize,
    /// Clients, beside three for each node that hold a lock as long as they can. Each has connections of its own.
    pub fighters: usize,
    /// Locks, which they fight for at random.
    pub locks: usize,
    /// How often something happens to a node or to PostgreSQL: each [`Fault`] in turn.
    pub faults: usize,
    /// From the moment that locks go round again to the next fault.
    pub pause: Duration,
    /// How long a fault lasts that has an end. Longer than a node's lease of six seconds, others take its sessions over.
    pub lasts: Duration,
    /// How long nobody gets the lock of a client whose session has ended.
    pub lock_delay: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 2,
            fighters: 16,
            locks: 16,
            faults: 24,
            pause: Duration::from_secs(4),
            // Longer than it takes until a session ends that was taken over, and its lock is somebody else's.
            lasts: Duration::from_secs(30),
            lock_delay: Duration::from_secs(2),
        }
    }
}

/// What became of the locks.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Nodes on one database.
    pub nodes: usize,
    /// Clients.
    pub fighters: usize,
    /// Locks.
    pub locks: usize,
    /// What happened, in order.
    pub faults: Vec<Suffered>,
    /// What the clients saw.
    pub counts: Counts,
    /// Sessions without a time to live that have ended with their node, as they may.
    pub ended_with_nodes: usize,
    /// Longest time in which nobody was given any lock.
    pub longest_gap_ms: f64,
    /// Everything that cannot be true of a lock, in words; the first twenty.
    pub violations: Vec<String>,
}

impl Report {
    /// Whether no lock was held twice, no session ended before its time, and the fence refused nobody who held.
    pub fn is_whole(&self) -> bool {
        self.violations.is_empty()
    }
}

pub(super) async fn run(programs: &Programs, options: &Options, folder: &Path) -> Result<Report> {
    ensure!(options.nodes > 1 && options.fighters > 1 && options.locks > 0, "nobody to fight with");
    progress("[locks] PostgreSQL is started");
    let postgres = Arc::new(tokio::task::spawn_blocking(Postgres::start).await??);
    let database = postgres.fresh_database()?;
    let ways = (0..options.nodes).map(|_| Link::around(&database)).collect::<Result<Vec<_>>>()?;
    let (links, stores): (Vec<Link>, Vec<String>) = ways.into_iter().unzip();
    let mut cluster = Cluster::start(programs, folder, &stores, Names::Own).await?;
    let mut faults = Faults { postgres, links };
    let outcome = under_faults(options, &mut cluster, &mut faults).await;
    outcome.with_context(|| cluster.last_words())
}

async fn under_faults(options: &Options, cluster: &mut Cluster, faults: &mut Faults) -> Result<Report> {
    cluster.state(0).caller(Way::Native)?.call(Act::Write(Key(0), 1)).await?;
    let names: Arc<[String]> = (0..cluster.len()).map(|node| cluster.name(node).to_owned()).collect();
    for node in 0..cluster.len() {
        cluster.until(node, SPREAD_LIMIT, PROBE).await?;
        for name in &*names {
            calls::knows(&cluster.state(node), name).await?;
        }
    }
    progress("[locks] the fight begins");
    let story = Arc::new(Story::new(options.locks));
    let mut fighters = JoinSet::new();
    // Their sessions end by time, with their node, or never.
    let kinds = [(true, true), (false, true), (false, false)].map(|(timed, checked)| Kind { timed, checked });
    let sitters = (0..cluster.len()).flat_map(|node| kinds.map(|kind| Habit::Sitter { node, kind }));
    let others = (0..options.fighters).map(|number| match number % 2 {
        0 => Habit::Rover,
        _ => Habit::Loyal(number / 2 % cluster.len()),
    });
    for (number, habit) in sitters.chain(others).enumerate() {
        let nodes = Nodes { states: cluster.states(), names: Arc::clone(&names) };
        let fighter = Fighter::new(habit, number, nodes, Arc::clone(&story), options.lock_delay);
        fighters.spawn(fighter.fight());
    }
    let suffered = faults.all(options, cluster, &story).await?;
    story.stop();
    while let Some(done) = fighters.join_next().await {
        done.context("a fighter failed")?;
    }
    cluster.all_run()?;
    let told = story.tell();
    Ok(Report {
        nodes: options.nodes,
        fighters: options.fighters + 3 * options.nodes,
        locks: options.locks,
        faults: suffered,
        counts: told.counts,
        ended_with_nodes: told.ended_with_nodes,
        longest_gap_ms: told.longest_gap.as_secs_f64() * 1000.0,
        violations: told.violations.into_iter().take(20).collect(),
    })
}
