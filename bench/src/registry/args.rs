//! The command line of `bench registry`.

use std::path::PathBuf;
use std::time::Duration;

use super::{Load, Locks, Nodes, Options, Peer, Programs, Scenario};

/// The registry and configuration beside etcd and r-nacos, and two nodes on one PostgreSQL under kill -9 and partitions
#[derive(clap::Args)]
pub struct Args {
    /// What is measured
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Scenario::ALL)]
    scenario: Vec<Scenario>,
    /// Under which loads, in `throughput`
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Load::ALL)]
    load: Vec<Load>,
    /// Who takes part
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Peer::ALL)]
    only: Vec<Peer>,
    /// Seconds of load on each registry in each round
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How often each has its turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Connections of the load
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=2000))]
    connections: u16,
    /// Let registries and load run on all cores in `throughput`, not on half of them each
    #[arg(long)]
    share_cores: bool,
    /// Watchers of one service
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=12_000))]
    watchers: u16,
    /// Changes that they have to hear of
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    changes: u16,
    /// Instances whose memory and start are measured
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    instances: u64,
    /// Nodes on one PostgreSQL
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=8))]
    nodes: u16,
    /// How often one of them is killed
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    kills: u16,
    /// How often something happens to a node or to PostgreSQL, in `locks`
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    faults: u16,
    /// Seconds that a fault lasts which has an end
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    lasts: u64,
    /// Write the whole report to this file
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Keep data and logs in this folder, which must not exist; a temporary one otherwise
    #[arg(long)]
    pub keep: Option<PathBuf>,
}

impl Args {
    /// What to do with `programs`.
    pub fn options(&self, programs: Programs) -> Options {
        Options {
            programs,
            scenarios: in_order(&Scenario::ALL, &self.scenario),
            loads: in_order(&Load::ALL, &self.load),
            peers: in_order(&Peer::ALL, &self.only),
            time: Duration::from_secs(self.seconds),
            warm_up: Duration::from_secs(1),
            rounds: self.rounds.into(),
            connections: self.connections.into(),
            share_cores: self.share_cores,
            watchers: self.watchers.into(),
            changes: self.changes.into(),
            instances: self.instances,
            nodes: Nodes { nodes: self.nodes.into(), kills: self.kills.into(), ..Nodes::default() },
            locks: Locks {
                nodes: usize::from(self.nodes).max(2),
                faults: self.faults.into(),
                lasts: Duration::from_secs(self.lasts),
                ..Locks::default()
            },
        }
    }
}

/// Those of `all` that were chosen, each once.
fn in_order<T: Copy + PartialEq>(all: &[T], chosen: &[T]) -> Vec<T> {
    all.iter().copied().filter(|one| chosen.contains(one)).collect()
}
