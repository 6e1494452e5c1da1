//! What each registry answers in a second, and in a second of its own processor time, under the same closed loop.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

use super::act::{Act, COPIES, Instance, Key, Service};
use super::load::{self, Limit, Run};
use super::servers::{Peer, Server};
use super::{Options, progress};
use crate::proxy::{Target, mb, median};

/// Services that are asked for, each with [`COPIES`] instances.
pub(super) const SERVICES: u32 = 1_000;
/// Configuration keys that are read and written.
const KEYS: u32 = 1_000;
/// New instances are numbered from here.
const FIRST_NEW: u64 = 1_000_000;
/// Each window numbers its new instances, and its values, from a place of its own.
const STEP: u64 = 1_000_000;
/// What is wanted of ours as a multiple of the better peer's.
const WANTED: f64 = 2.0;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Load {
    /// The ten instances of one service, always the same.
    One,
    /// The ten instances of a random one of a thousand services.
    Many,
    /// Heartbeats of random ones of ten thousand instances.
    Beats,
    /// A random one of a thousand configuration keys.
    Read,
    /// Another value for a random one of them.
    Write,
    /// New instances, in turn of a thousand services.
    Register,
}

impl Load {
    /// All, in the order they are run: what adds data comes last.
    pub(super) const ALL: [Self; 6] =
        [Self::One, Self::Many, Self::Beats, Self::Read, Self::Write, Self::Register];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::One => "discovery, one service",
            Self::Many => "discovery, random of 1,000 services",
            Self::Beats => "heartbeats of 10,000 instances",
            Self::Read => "configuration reads",
            Self::Write => "configuration writes",
            Self::Register => "registrations of new instances",
        }
    }

    /// The acts of one window; no two windows have the same `window`.
    fn acts(self, window: u64) -> impl Fn(u64) -> Act + 'static {
        let service = || Service(fastrand::u32(..SERVICES));
        move |number| match self {
            Self::One => Act::Discover(Service(0)),
            Self::Many => Act::Discover(service()),
            Self::Beats => Act::Renew(service().copy(fastrand::u64(..COPIES))),
            Self::Read => Act::Read(Key(fastrand::u32(..KEYS))),
            Self::Write => Act::Write(Key(fastrand::u32(..KEYS)), window * STEP + number),
            Self::Register => {
                // Not among those that are asked for: they keep their ten.
                let service = Service(SERVICES + (number % u64::from(SERVICES)) as u32);
                Act::Register(Instance::new(service, FIRST_NEW + window * STEP + number))
            }
        }
    }
}

/// One window of load on one registry.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Good answers.
    pub answered: u64,
    /// Everything else.
    pub failed: u64,
    /// The first of these.
    pub reason: Option<String>,
    /// Good answers in a second.
    pub per_second: f64,
    /// Good answers in a second of the server's processor time, user and system.
    pub per_cpu_second: f64,
    /// Half were answered faster.
    pub p50_ms: f64,
    /// 99 in a hundred were answered faster.
    pub p99_ms: f64,
    /// Resident memory of the server afterwards.
    pub rss_mb: f64,
}

/// One registry over all rounds.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Whose.
    pub peer: Peer,
    /// In their order.
    pub rounds: Vec<Sample>,
    /// Their medians, by name.
    pub medians: BTreeMap<&'static str, f64>,
}

/// Whether a figure is in the medians, and how it is read.
type Figure = (&'static str, fn(&Sample) -> f64);
const PER_SECOND: Figure = ("per_second", |sample| sample.per_second);
const PER_CPU: Figure = ("per_cpu_second", |sample| sample.per_cpu_second);
const FIGURES: [Figure; 5] = [
    PER_SECOND,
    PER_CPU,
    ("p50_ms", |sample| sample.p50_ms),
    ("p99_ms", |sample| sample.p99_ms),
    ("rss_mb", |sample| sample.rss_mb),
];

/// Gives every server what is asked for later.
pub(super) async fn fill(server: &Server, connections: usize) -> Result<()> {
    let at = (server.peer, server.address);
    let instances = u64::from(SERVICES) * COPIES;
    let all = move |number: u64| match number.checked_sub(instances) {
        None => Act::Register(Service((number / COPIES) as u32).copy(number % COPIES)),
        Some(key) => Act::Write(Key(key as u32), 0),
    };
    let run = load::run(at, connections, Limit::Count(instances + u64::from(KEYS)), &[], all).await?;
    whole(server, &run)
}

fn whole(server: &Server, run: &Run) -> Result<()> {
    ensure!(
        run.failed == 0 && run.answered > 0,
        "{}: {} failed, the first: {}; {}",
        server.peer.name(),
        run.failed,
        run.reason.as_deref().unwrap_or("none was answered"),
        server.child.last_words()
    );
    Ok(())
}

/// Every server in turn, round after round; the load runs on these cores.
pub(super) async fn run(
    options: &Options,
    cores: &[usize],
    servers: &[Server],
    what: Load,
) -> Result<(Vec<Row>, Vec<Target>)> {
    let mut all: Vec<Vec<Sample>> = servers.iter().map(|_| Vec::new()).collect();
    // The first window of each is for warming up.
    for round in 0..=options.rounds {
        let time = if round == 0 { options.warm_up } else { options.time };
        for (server, samples) in servers.iter().zip(&mut all) {
            progress(&format!(
                "[{}] round {round} of {}: {}",
                what.title(),
                options.rounds,
                server.peer.name()
            ));
            let before = server.child.cpu()?;
            let limit = Limit::Time(time);
            let at = (server.peer, server.address);
            let run = load::run(at, options.connections, limit, cores, what.acts(round as u64)).await;
            let run = run.with_context(|| server.child.last_words())?;
            if round == 0 {
                whole(server, &run)?;
            } else {
                let cpu = server.child.cpu()?.saturating_sub(before).as_secs_f64();
                samples.push(sample(&run, cpu, mb(server.child.memory()?.rss_kib)));
            }
        }
    }
    let row = |(server, rounds): (&Server, Vec<Sample>)| {
        let medians = FIGURES.map(|(name, of)| (name, median(rounds.iter().map(of))));
        Row { peer: server.peer, rounds, medians: medians.into() }
    };
    let rows: Vec<Row> = servers.iter().zip(all).map(row).collect();
    let targets =
        [PER_SECOND, PER_CPU].into_iter().filter_map(|figure| target(&rows, what, figure)).collect();
    Ok((rows, targets))
}

fn sample(run: &Run, cpu: f64, rss_mb: f64) -> Sample {
    Sample {
        answered: run.answered,
        failed: run.failed,
        reason: run.reason.clone(),
        per_second: run.answered as f64 / run.seconds,
        per_cpu_second: run.answered as f64 / cpu,
        p50_ms: run.percentile_ms(50.0),
        p99_ms: run.percentile_ms(99.0),
        rss_mb,
    }
}

/// Ours beside the better of the peers, round by round.
fn target(rows: &[Row], what: Load, (name, of): Figure) -> Option<Target> {
    let ours = rows.iter().find(|row| row.peer == Peer::Ours)?;
    let peers = rows.iter().filter(|row| row.peer != Peer::Ours);
    let better = peers.max_by(|a, b| a.medians[name].total_cmp(&b.medians[name]))?;
    let ratios = ours.rounds.iter().zip(&better.rounds).map(|(ours, theirs)| of(ours) / of(theirs));
    let said = format!("{name}, {}: ours to {}", what.title(), better.peer.name());
    Some(Target::at_least(said, median(ratios), WANTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(peer: Peer, figures: &[f64]) -> Row {
        let sample = |figure: &f64| Sample {
            answered: 1,
            failed: 0,
            reason: None,
            per_second: *figure,
            per_cpu_second: *figure,
            p50_ms: 1.0,
            p99_ms: 1.0,
            rss_mb: 1.0,
        };
        let medians = [("per_second", median(figures.iter().copied()))].into();
        Row { peer, rounds: figures.iter().map(sample).collect(), medians }
    }

    #[test]
    fn ours_is_held_against_the_better_peer_in_the_same_round() {
        let rows =
            [row(Peer::Ours, &[30.0, 10.0]), row(Peer::Etcd, &[1.0, 1.0]), row(Peer::Rnacos, &[10.0, 5.0])];
        let target = target(&rows, Load::One, PER_SECOND).unwrap();
        assert!(target.what.contains("r-nacos") && target.met, "{target:?}");
        assert!((target.value - 2.5).abs() < 1e-9, "{target:?}");
        assert_eq!(super::target(&rows[..1], Load::One, PER_SECOND), None);
    }
}
