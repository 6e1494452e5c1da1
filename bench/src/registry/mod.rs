//! `bench registry`: the platform's registry and configuration beside etcd and r-nacos, in one run on one machine.
//!
//! Every registry has its turn in every round, so that what the machine does meanwhile falls on all of them; ratios are
//! taken within a round. What each figure means is told in `docs/performance.md`.

mod act;
mod args;
mod caller;
mod doors;
mod load;
mod locks;
mod nodes;
mod plain;
mod print;
mod servers;
mod size;
mod throughput;
mod watch;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

pub use args::Args;
pub use locks::{Counts as LockCounts, Fault, Options as Locks, Report as Fought, Suffered};
pub use nodes::{Counts, Options as Nodes, Report as Survived};
pub use print::report as table;
pub use servers::{Peer, Programs};
pub use size::Size;
pub use throughput::{Load, Row, Sample};
pub use watch::{Failed as WatchFailed, Row as Watched};

use crate::cores::Split;
use crate::procs;
use crate::proxy::{Target, raise_descriptors};
use crate::stop::unless_told;
use servers::{Room, Server};

/// What is measured, of whom, and for how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the programs are.
    pub programs: Programs,
    /// What is measured.
    pub scenarios: Vec<Scenario>,
    /// Under which loads, in [`Scenario::Throughput`].
    pub loads: Vec<Load>,
    /// Who is measured.
    pub peers: Vec<Peer>,
    /// Load that is counted, for each registry in each round.
    pub time: Duration,
    /// Load on each registry before the first round.
    pub warm_up: Duration,
    /// How often each has its turn.
    pub rounds: usize,
    /// Connections of the load.
    pub connections: usize,
    /// Registries and load run on all cores, in [`Scenario::Throughput`]. Otherwise each has half of them.
    pub share_cores: bool,
    /// Watchers of one service.
    pub watchers: usize,
    /// Changes that they have to hear of.
    pub changes: usize,
    /// Instances whose memory and start are measured.
    pub instances: u64,
    /// What is done to several nodes on one PostgreSQL.
    pub nodes: Nodes,
    /// Who fights for locks at them, and what happens meanwhile.
    pub locks: Locks,
}

/// One kind of measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Reads, writes and heartbeats in a second.
    Throughput,
    /// The way of a change to many watchers.
    Watch,
    /// Memory and start with many instances; ours alone.
    Size,
    /// Nodes on one PostgreSQL that are killed under load; ours alone.
    Nodes,
    /// The history of locks at such nodes, under kills and partitions; ours alone.
    Locks,
}

impl Scenario {
    /// All, in the order they are run.
    pub const ALL: [Self; 5] = [Self::Throughput, Self::Watch, Self::Size, Self::Nodes, Self::Locks];
}

/// Everything that was measured in one run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Cores of the machine.
    pub cores: usize,
    /// Cores on which registries ran in [`Scenario::Throughput`], one at a time.
    pub server_cores: usize,
    /// Cores on which their load ran.
    pub load_cores: usize,
    /// Connections of the load.
    pub connections: usize,
    /// Seconds of load on each registry in each round.
    pub seconds: f64,
    /// Rounds.
    pub rounds: usize,
    /// The machine's load average over a minute before the run.
    pub load_before: f64,
    /// One for each load.
    pub throughput: Vec<Loaded>,
    /// One for each way to watch.
    pub watch: Vec<Watched>,
    /// Ways to watch that did not work with so many watchers.
    pub watch_failed: Vec<WatchFailed>,
    /// Memory and start of ours.
    pub size: Option<Size>,
    /// What became of several nodes.
    pub nodes: Option<Survived>,
    /// What became of locks at several nodes.
    pub locks: Option<Fought>,
    /// What is wanted of ours.
    pub targets: Vec<Target>,
}

/// All registries under one load.
#[derive(Debug, Serialize)]
pub struct Loaded {
    /// Which.
    pub load: Load,
    /// One for each registry.
    pub rows: Vec<Row>,
}

impl Report {
    /// Whether no promise was broken. A missed target is none.
    pub fn is_whole(&self) -> bool {
        self.nodes.as_ref().is_none_or(Survived::is_whole) && self.locks.as_ref().is_none_or(Fought::is_whole)
    }
}

/// Measures, with data and logs in `folder`. Stops at the first failure, or when it is told to.
pub async fn run(options: &Options, folder: &Path) -> Result<Report> {
    unless_told(measure(options, folder)).await
}

async fn measure(options: &Options, folder: &Path) -> Result<Report> {
    ensure!(!options.peers.is_empty() && !options.scenarios.is_empty(), "nothing to measure");
    raise_descriptors()?;
    let chosen = |scenario| options.scenarios.contains(&scenario);
    let cores = std::thread::available_parallelism()?.get();
    let split = if options.share_cores { Split::default() } else { Split::halves()? };
    let or_all = |some: &[usize]| if some.is_empty() { cores } else { some.len() };
    let mut report = Report {
        cores,
        server_cores: or_all(&split.servers),
        load_cores: or_all(&split.load),
        connections: options.connections,
        seconds: options.time.as_secs_f64(),
        rounds: options.rounds,
        load_before: procs::load_average().context("cannot read the load average")?,
        throughput: Vec::new(),
        watch: Vec::new(),
        watch_failed: Vec::new(),
        size: None,
        nodes: None,
        locks: None,
        targets: Vec::new(),
    };
    if chosen(Scenario::Throughput) {
        let servers = servers(options, &split.servers, &folder.join("throughput")).await?;
        for load in &options.loads {
            let (rows, targets) = throughput::run(options, &split.load, &servers, *load).await?;
            report.throughput.push(Loaded { load: *load, rows });
            report.targets.extend(targets);
        }
        stop(servers).await?;
    }
    if chosen(Scenario::Watch) {
        // One thread of watchers leaves room for more than half of the cores.
        let servers = servers(options, &[], &folder.join("watch")).await?;
        let (rows, failed, targets) = watch::run(options, &servers).await;
        report.watch = rows;
        report.watch_failed = failed;
        report.targets.extend(targets);
        stop(servers).await?;
    }
    if options.peers.contains(&Peer::Ours) {
        if chosen(Scenario::Size) {
            let (size, targets) = size::run(options, &folder.join("size")).await.context("scenario size")?;
            report.size = Some(size);
            report.targets.extend(targets);
        }
        if chosen(Scenario::Nodes) {
            let survived = nodes::run(&options.programs, &options.nodes, &folder.join("nodes")).await;
            report.nodes = Some(survived.context("scenario nodes")?);
        }
        if chosen(Scenario::Locks) {
            let fought = locks::run(&options.programs, &options.locks, &folder.join("locks")).await;
            report.locks = Some(fought.context("scenario locks")?);
        }
    }
    Ok(report)
}

/// All that take part, each with the same data, on these cores.
async fn servers(options: &Options, cores: &[usize], folder: &Path) -> Result<Vec<Server>> {
    // Nobody is stopped by a limit of ours that the others do not have.
    let room = Room { instances: 20_000_000, waiters: options.watchers + 1_000, cores: cores.into() };
    let mut all = Vec::new();
    for peer in &options.peers {
        progress(&format!("{} is started and filled", peer.name()));
        let server = Server::start(&options.programs, *peer, &folder.join(peer.name()), &room).await?;
        throughput::fill(&server, options.connections).await?;
        all.push(server);
    }
    Ok(all)
}

async fn stop(servers: Vec<Server>) -> Result<()> {
    for server in servers {
        server.child.stop().await?;
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a run takes minutes, and shows where it is")]
fn progress(what: &str) {
    eprintln!("{what}");
}
