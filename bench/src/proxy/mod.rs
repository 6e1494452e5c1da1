//! `bench proxy`: the platform's gateway beside real peers and beside the floor, in one run, against one upstream.
//!
//! Every proxy has its turn in every round, so that what the machine does meanwhile falls on all of them; ratios are
//! taken within a round. What each figure means is told in `docs/performance.md`.

mod args;
mod certificate;
mod changes;
mod figures;
mod idle;
mod load;
mod peers;
mod print;
mod probe;
mod relay;
mod routes;
mod session;
mod side_by_side;
mod swap;
mod target;
mod upstream;
mod workers;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

pub use args::Args;
pub use changes::{Args as ServiceArgs, Changed, Failure, Options as Changes, serve};
pub use figures::{Sample, Series};
pub use load::Generator;
pub use peers::{Programs, Proxy};
pub use print::report as table;
pub(crate) use print::targets as target_table;
pub use target::Target;
pub(crate) use {figures::median, session::mb, session::raise_descriptors};
pub use {relay::Args as RelayArgs, relay::run as relay};
pub use {upstream::Args as UpstreamArgs, upstream::run as upstream};

use crate::procs;
use crate::stop::unless_told;
use peers::Wire;
use session::Session;

/// Load average of a machine that does nothing else.
const QUIET: f64 = 0.5;

/// What is measured, of whom, and for how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the programs are.
    pub programs: Programs,
    /// What is measured.
    pub scenarios: Vec<Scenario>,
    /// Who is measured.
    pub proxies: Vec<Proxy>,
    /// Who makes the load.
    pub generator: Generator,
    /// Load that is counted, for each proxy in each round.
    pub time: Duration,
    /// Load on each proxy before the first round.
    pub warm_up: Duration,
    /// How often each proxy has its turn.
    pub rounds: usize,
    /// Connections of the load.
    pub connections: usize,
    /// Threads or processes of each proxy, and threads of the upstream.
    pub workers: usize,
    /// Sizes of the route table that are compared; the last is the one that is exchanged under load.
    pub routes: Vec<usize>,
    /// Connections that do nothing.
    pub idle_connections: usize,
    /// What is changed under a load with a fixed rate.
    pub changes: Changes,
}

/// One kind of measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// HTTP/1.1.
    H1,
    /// gRPC over HTTP/2.
    Grpc,
    /// TLS 1.3.
    Tls,
    /// Many routes.
    Routes,
    /// Routes exchanged under load.
    Swap,
    /// Memory without load.
    Idle,
    /// The whole configuration changed under load.
    Flips,
    /// Services restarted under load.
    Rolling,
    /// The gateway's process replaced under load.
    Handover,
}

impl Scenario {
    /// All, in the order they are run.
    pub const ALL: [Self; 9] = [
        Self::H1,
        Self::Grpc,
        Self::Tls,
        Self::Routes,
        Self::Swap,
        Self::Idle,
        Self::Flips,
        Self::Rolling,
        Self::Handover,
    ];

    fn wire(self) -> Wire {
        match self {
            Self::Grpc => Wire::Grpc,
            Self::Tls => Wire::Tls,
            _ => Wire::H1,
        }
    }
}

/// Everything that was measured in one run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Cores of the machine, shared by proxies, load and upstream.
    pub cores: usize,
    /// Threads or processes of each proxy.
    pub workers: usize,
    /// Connections of the load.
    pub connections: usize,
    /// Seconds of load on each proxy in each round.
    pub seconds: f64,
    /// Rounds.
    pub rounds: usize,
    /// The machine's load average over a minute before the run: what others do with the cores.
    pub load_before: f64,
    /// One for each scenario that was run.
    pub outcomes: Vec<Outcome>,
}

/// What one scenario showed.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Which.
    pub scenario: Scenario,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// What is wanted of ours.
    pub targets: Vec<Target>,
}

/// The figures of a scenario, by the shape they have.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figures {
    /// Proxies, or one proxy in several settings, under the same load.
    Series(side_by_side::Beside),
    /// The route table exchanged under load.
    Swap(swap::Swapped),
    /// Memory without load.
    Idle(Vec<idle::Quiet>),
    /// What clients noticed while something changed.
    Changed(changes::Changed),
}

/// Measures, with configuration files and logs in `folder`. Stops at the first failure, or when it is told to.
pub async fn run(options: &Options, folder: &Path) -> Result<Report> {
    unless_told(measure(options, folder)).await
}

async fn measure(options: &Options, folder: &Path) -> Result<Report> {
    ensure!(!options.proxies.is_empty() && !options.scenarios.is_empty(), "nothing to measure");
    for proxy in &options.proxies {
        options.programs.of(*proxy)?;
    }
    let cores = std::thread::available_parallelism()?.get();
    let load_before = procs::load_average().context("cannot read the load average")?;
    if load_before > QUIET {
        progress(&format!(
            "load average {load_before}: others use the machine, or did just now: trust processor time and memory"
        ));
    }
    let session = Session::start(options, folder).await?;
    let mut outcomes = Vec::new();
    for scenario in &options.scenarios {
        let outcome = one(&session, *scenario).await;
        outcomes.extend(outcome.with_context(|| format!("scenario {}", name(*scenario)))?);
    }
    Ok(Report {
        cores,
        workers: options.workers,
        connections: options.connections,
        seconds: options.time.as_secs_f64(),
        rounds: options.rounds,
        load_before,
        outcomes,
    })
}

/// None if nobody who was chosen can take part.
async fn one(session: &Session<'_>, scenario: Scenario) -> Result<Option<Outcome>> {
    let chosen = session.taking_part(scenario);
    if chosen.is_empty() {
        progress(&format!("[{}] left out: nobody of --only takes part", name(scenario)));
        return Ok(None);
    }
    let (figures, targets) = match scenario {
        Scenario::H1 | Scenario::Grpc | Scenario::Tls => {
            side_by_side::run(session, scenario, &chosen).await?
        }
        Scenario::Routes => routes::run(session).await?,
        Scenario::Swap => swap::run(session).await?,
        Scenario::Idle => idle::run(session, &chosen).await?,
        Scenario::Flips | Scenario::Rolling | Scenario::Handover => changes::run(session, scenario).await?,
    };
    Ok(Some(Outcome { scenario, figures, targets }))
}

/// A scenario's name on the command line.
fn name(scenario: Scenario) -> String {
    scenario.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[expect(clippy::print_stderr, reason = "progress goes to stderr, so that the report owns stdout")]
fn progress(line: &str) {
    eprintln!("{line}");
}
