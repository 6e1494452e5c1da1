//! Proxies under the same load, one after the other, round after round.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;

use super::figures::{Metric, Series};
use super::load::Paths;
use super::peers::{Proxy, Running, Wire};
use super::session::{Session, sample, warm_up};
use super::target::{self, Target};
use super::{Figures, Scenario, probe, progress};

/// Who was measured, and whose figures the ratios are to.
#[derive(Debug, Serialize)]
pub struct Beside {
    /// The series whose figures are 1: ours, or the first if ours took no part.
    pub base: String,
    /// One for each proxy or setting.
    pub all: Vec<Row>,
}

/// One series and what follows from it.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was measured.
    #[serde(flatten)]
    pub series: Series,
    /// Over the rounds, by figure.
    pub medians: BTreeMap<&'static str, f64>,
    /// The median multiple of the base's figure in the same round, by figure.
    pub ratios: BTreeMap<&'static str, f64>,
}

impl Beside {
    /// With ratios to the first of `all`.
    pub(super) fn first_of(all: Vec<Series>) -> Result<Self> {
        let first = all.first().context("nobody was measured")?.clone();
        let row = |series: Series| Row {
            medians: Metric::ALL.map(|metric| (metric.key(), series.median(metric))).into(),
            ratios: Metric::ALL.map(|metric| (metric.key(), series.ratio(&first, metric))).into(),
            series,
        };
        Ok(Self { all: all.into_iter().map(row).collect(), base: first.name })
    }
}

/// One that has its turn in every round.
pub(super) struct Turn {
    pub(super) name: String,
    pub(super) running: Running,
    pub(super) paths: Paths,
}

pub(super) async fn run(
    session: &Session<'_>,
    scenario: Scenario,
    proxies: &[Proxy],
) -> Result<(Figures, Vec<Target>)> {
    let setting = session.setting(scenario)?;
    let mut turns = Vec::new();
    for proxy in proxies {
        let name = proxy.name().to_owned();
        progress(&format!("[{}] starting {name}", setting.wire.name()));
        let running = Running::start(&setting, *proxy, &name, &[]).await?;
        let good = match setting.wire {
            Wire::H1 => probe::plain(running.listen, "/").await,
            Wire::Grpc => probe::grpc(running.listen).await,
            // The load speaks TLS and we do not; it tells when warming up.
            Wire::Tls => Ok(()),
        };
        good.with_context(|| format!("{name} does not answer well; {}", running.child.last_words()))?;
        turns.push(Turn { name, running, paths: Paths::One });
    }
    let all = rounds(session, scenario, turns).await?;
    let bounds = match setting.wire {
        Wire::H1 => target::H1,
        Wire::Grpc => target::GRPC,
        Wire::Tls => target::TLS,
    };
    let targets = target::beside(&all, bounds);
    Ok((Figures::Series(Beside::first_of(all)?), targets))
}

/// Everyone once in each round, in the same order.
pub(super) async fn rounds(
    session: &Session<'_>,
    scenario: Scenario,
    turns: Vec<Turn>,
) -> Result<Vec<Series>> {
    let options = session.options;
    let (wire, title) = (scenario.wire(), super::name(scenario));
    for turn in &turns {
        progress(&format!("[{title}] warming up {}", turn.name));
        let warm = warm_up(&turn.running, &session.load(wire, turn.paths), options.warm_up).await;
        warm.with_context(|| turn.name.clone())?;
    }
    let series = |turn: &Turn| Series {
        name: turn.name.clone(),
        version: turn.running.version.clone(),
        rounds: Vec::new(),
    };
    let mut all: Vec<Series> = turns.iter().map(series).collect();
    for round in 1..=options.rounds {
        for (turn, series) in turns.iter().zip(&mut all) {
            progress(&format!("[{title}] round {round} of {}: {}", options.rounds, turn.name));
            let sample = sample(&turn.running, &session.load(wire, turn.paths), options.time).await;
            series.rounds.push(sample.with_context(|| turn.name.clone())?);
        }
    }
    for turn in turns {
        turn.running.child.stop().await?;
    }
    Ok(all)
}
