//! `trellis up`

use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tracing::warn;
use trellis_core::{Error, codes};
use trellis_runtime::Shutdown;

use super::args::Up;
use super::{manifest, output, summary};
use crate::logging;
use crate::up::{self, Options, Summary};

/// What the second Ctrl-C ends with, as shells count it.
const INTERRUPTED: u8 = 130;
/// How long what was cut off may take to let go.
const CUT_OFF: Duration = Duration::from_secs(1);

/// Runs the platform until a signal.
pub(crate) fn run(up: &Up, matches: &ArgMatches, json: bool) -> Result<ExitCode, Error> {
    let began = Instant::now();
    let overrides = up.source.overrides(matches);
    let manifest = match manifest::load(up.source.file.as_deref(), &overrides, json)? {
        Ok(manifest) => manifest,
        Err(code) => return Ok(code),
    };
    logging::start(&up.log)?;
    let program = std::env::current_exe().map_err(|error| {
        Error::new(codes::INTERNAL, "the path of trellis itself is not known").because(error)
    })?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the outermost layer: the path of programs is an environment variable"
    )]
    let search_path = std::env::var_os("PATH");
    let options = Options { manifest, overrides, program, search_path, began };
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let (first, second) = (Shutdown::new(), Shutdown::new());
        listen(&first, &second)?;
        tokio::select! {
            ended = up::run(options, first, |summary| tell(summary, json)) => ended.map(|()| ExitCode::SUCCESS),
            () = second.triggered() => Ok(ExitCode::from(INTERRUPTED)),
        }
    });
    // Drops what still runs, which kills the child processes that are left.
    runtime.shutdown_timeout(CUT_OFF);
    ended
}

/// Few threads: more cost memory and bring nothing on a small machine.
fn runtime() -> Result<Runtime, Error> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Builder::new_multi_thread()
        .worker_threads(cores.max(2))
        .enable_all()
        .build()
        .map_err(|error| Error::new(codes::INTERNAL, "no runtime can be started").because(error))
}

/// The first signal asks to stop, the second insists.
fn listen(first: &Shutdown, second: &Shutdown) -> Result<(), Error> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let failed = |error| Error::new(codes::INTERNAL, "signals cannot be listened to").because(error);
    let signals = kinds.map(signal).into_iter().collect::<Result<Vec<_>, _>>().map_err(failed)?;
    for mut signal in signals {
        let (first, second) = (first.clone(), second.clone());
        tokio::spawn(async move { obey(&mut signal, &first, &second).await });
    }
    Ok(())
}

async fn obey(signal: &mut Signal, first: &Shutdown, second: &Shutdown) {
    while signal.recv().await.is_some() {
        if first.is_triggered() {
            warn!("told to stop twice: everything is cut off");
            second.trigger();
        }
        first.trigger();
    }
}

fn tell(summary: &Summary, json: bool) {
    let told = if json { output::print_json(summary) } else { output::print(&summary::text(summary)) };
    if let Err(error) = told {
        warn!(%error, "the summary cannot be shown");
    }
}
