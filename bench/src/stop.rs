//! Measurements that are broken off when somebody says so.

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// Does `work` to its end, or until Ctrl-C or SIGTERM. Whatever ends it drops the programs that it started, which ends
/// them.
pub(crate) async fn unless_told<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("told to stop"),
    }
}
