//! `trellis-bench`: started by `cargo xtask bench` and `cargo xtask chaos`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

use trellis_bench::platform::{Phase, Programs};
use trellis_bench::{chaos, measure, print, proxy, registry};

#[derive(Parser)]
#[command(name = "trellis-bench", about = "Measures the platform and the shop from outside")]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Start-up, idle memory, order rate, latency and processor time
    Shop {
        /// Seconds of load that are counted
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
        seconds: u64,
        /// Clients at once
        #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=2000))]
        clients: u16,
        /// Starts on fresh data directories, and as many on an existing one
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
        starts: u16,
        #[command(flatten)]
        common: Common,
    },
    /// Orders while services and platform are killed with -9; exit code 1 if a promise was broken
    Chaos {
        /// Seconds during which orders are placed
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
        seconds: u64,
        /// Clients at once
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=2000))]
        clients: u16,
        #[command(flatten)]
        common: Common,
    },
    Proxy(proxy::Args),
    Registry(registry::Args),
    #[command(hide = true)]
    Relay(proxy::RelayArgs),
    #[command(hide = true)]
    Upstream(proxy::UpstreamArgs),
    #[command(hide = true)]
    Service(proxy::ServiceArgs),
}

#[derive(clap::Args)]
struct Common {
    /// How the shop runs
    #[arg(long, value_enum, default_value_t = PhaseChoice::Both)]
    phase: PhaseChoice,
    /// Write the whole report to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Keep data and logs in this folder, which must not exist; a temporary one otherwise
    #[arg(long)]
    keep: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum PhaseChoice {
    Both,
    Monolith,
    Microservices,
}

// One thread: the clients mostly wait, and leave the rest of the machine to what is measured.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse().what).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say_error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well. A missed target of `proxy` or `registry` is told, and no failure.
async fn run(what: What) -> Result<bool> {
    let this = std::env::current_exe()?;
    match what {
        What::Shop { seconds, clients, starts, common } => {
            let programs = Programs::beside(&this)?;
            let options = measure::Options {
                starts: starts.into(),
                clients: clients.into(),
                warm_up: Duration::from_secs(3),
                time: Duration::from_secs(seconds),
                rest: Duration::from_secs(3),
            };
            let folder = Folder::make(common.keep.as_deref())?;
            let mut reports = Vec::new();
            for phase in common.phase.phases() {
                let report = measure::run(&programs, folder.path(), *phase, &options).await?;
                say(&print::measured(&report));
                reports.push(report);
            }
            write_json(common.json.as_deref(), &reports)?;
            Ok(true)
        }
        What::Chaos { seconds, clients, common } => {
            let programs = Programs::beside(&this)?;
            let folder = Folder::make(common.keep.as_deref())?;
            let mut reports = Vec::new();
            for phase in common.phase.phases() {
                let options = chaos::Options::new(*phase, clients.into(), Duration::from_secs(seconds));
                let here = folder.path().join(phase.as_str());
                std::fs::create_dir(&here).with_context(|| format!("cannot make {}", here.display()))?;
                let report = chaos::run(&programs, &here, &options).await?;
                say(&print::chaos(&report));
                reports.push(report);
            }
            write_json(common.json.as_deref(), &reports)?;
            Ok(reports.iter().all(|report| report.violations.is_empty()))
        }
        What::Proxy(args) => {
            let options = args.options(proxy::Programs::around(&this)?)?;
            let folder = Folder::make(args.keep.as_deref())?;
            let report = proxy::run(&options, folder.path()).await?;
            say(&proxy::table(&report));
            write_json(args.json.as_deref(), &report)?;
            Ok(true)
        }
        What::Registry(args) => {
            let options = args.options(registry::Programs::around(&this)?);
            let folder = Folder::make(args.keep.as_deref())?;
            let report = registry::run(&options, folder.path()).await?;
            say(&registry::table(&report));
            write_json(args.json.as_deref(), &report)?;
            Ok(report.is_whole())
        }
        What::Relay(args) => proxy::relay(args).await.map(|()| true),
        What::Upstream(args) => proxy::upstream(args).await.map(|()| true),
        What::Service(args) => proxy::serve(args).await.map(|()| true),
    }
}

impl PhaseChoice {
    fn phases(self) -> &'static [Phase] {
        match self {
            Self::Both => &Phase::ALL,
            Self::Monolith => &[Phase::Monolith],
            Self::Microservices => &[Phase::Microservices],
        }
    }
}

/// Where data and logs go.
enum Folder {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Folder {
    fn make(keep: Option<&Path>) -> Result<Self> {
        let Some(keep) = keep else {
            return Ok(Self::Temporary(tempfile::tempdir().context("cannot make a temporary folder")?));
        };
        std::fs::create_dir(keep).with_context(|| format!("cannot make {}", keep.display()))?;
        Ok(Self::Kept(keep.canonicalize()?))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

fn write_json(file: Option<&Path>, reports: &impl Serialize) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let text = serde_json::to_string_pretty(reports)?;
    std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}

#[expect(clippy::print_stdout, reason = "the report is this program's output")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "the last thing this program says")]
fn say_error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
