//! A role of the platform as this process: until a signal.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tracing::warn;
use trellis_core::{Error, codes};
use trellis_runtime::Shutdown;

/// What the second Ctrl-C ends with, as shells count it.
const INTERRUPTED: u8 = 130;
/// How long what was cut off may take to let go.
const CUT_OFF: Duration = Duration::from_secs(1);

/// Runs `role`, which is given the signal to stop and the wish to be replaced (SIGUSR2), to its end; a second signal to
/// stop cuts it off.
pub(super) fn run<F>(role: impl FnOnce(Shutdown, Arc<Notify>) -> F) -> Result<ExitCode, Error>
where
    F: Future<Output = Result<(), Error>>,
{
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let (first, second) = (Shutdown::new(), Shutdown::new());
        let upgrade = Arc::new(Notify::new());
        listen(&first, &second, &upgrade)?;
        tokio::select! {
            ended = role(first, upgrade) => ended.map(|()| ExitCode::SUCCESS),
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
fn listen(first: &Shutdown, second: &Shutdown, upgrade: &Arc<Notify>) -> Result<(), Error> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let failed = |error| Error::new(codes::INTERNAL, "signals cannot be listened to").because(error);
    let signals = kinds.map(signal).into_iter().collect::<Result<Vec<_>, _>>().map_err(failed)?;
    for mut signal in signals {
        let (first, second) = (first.clone(), second.clone());
        tokio::spawn(async move { obey(&mut signal, &first, &second).await });
    }
    let mut wish = signal(SignalKind::user_defined2()).map_err(failed)?;
    let upgrade = Arc::clone(upgrade);
    tokio::spawn(async move {
        while wish.recv().await.is_some() {
            upgrade.notify_one();
        }
    });
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
