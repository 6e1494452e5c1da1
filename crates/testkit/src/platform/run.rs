//! One run of the program `trellis`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdout, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use serde::Deserialize;
use tokio::sync::oneshot;

use super::left_behind::MARK;
use super::options::PlatformOptions;
use crate::kept::{self, Kept};
use crate::programs;

/// Variables that a program cannot well do without.
const INHERITED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LANG"];

/// The line that the platform prints when it is ready.
#[derive(Debug, Deserialize)]
pub(super) struct Readiness {
    pub(super) gateway: String,
    pub(super) admin: String,
    #[serde(default)]
    pub(super) consul: Option<String>,
    #[serde(default)]
    pub(super) dns: Option<SocketAddr>,
    #[serde(default)]
    pub(super) eureka: Option<String>,
    pub(super) ready_ms: u64,
    #[serde(default)]
    pub(super) not_ready: Vec<serde_json::Value>,
}

/// A running platform.
pub(super) struct Run {
    process: Kept,
}

impl Run {
    /// Starts it, and waits until it is ready.
    pub(super) async fn start(
        options: &PlatformOptions,
        manifest: &Path,
        data_dir: &Path,
        log: &Path,
    ) -> anyhow::Result<(Self, Readiness)> {
        let log = File::options().create(true).append(true).open(log).context("the log cannot be written")?;
        let mut command = kept::command(&programs::trellis()?.into(), Some(Signal::TERM), None)?;
        command
            .arg("up")
            .arg("--file")
            .arg(manifest)
            .arg("--data-dir")
            .arg(data_dir)
            .args(["--phase", options.phase.as_str(), "--json", "--any-port"])
            .env_clear()
            .envs(INHERITED.iter().filter_map(|name| Some((name, programs::variable(name)?))))
            .envs(&options.env)
            .env(MARK, data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let (process, stdout) = Kept::spawn(command)?;
        let run = Self { process };
        let stdout = stdout.context("no standard output")?;
        match tokio::time::timeout(options.ready_within, first_line(stdout)?).await {
            Ok(Ok(line)) => {
                let readiness: Readiness = serde_json::from_str(&line).with_context(|| line.clone())?;
                if !readiness.not_ready.is_empty() {
                    bail!(
                        "not everything became ready: {}",
                        serde_json::to_string_pretty(&readiness.not_ready)?
                    );
                }
                Ok((run, readiness))
            }
            Ok(Err(_)) => match run.process.wait(Duration::from_secs(5)) {
                Some(status) => bail!("trellis ended while starting: {status}"),
                None => bail!("trellis closed its output"),
            },
            Err(_) => bail!("trellis was not ready within {:?}", options.ready_within),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends the signal and waits for the end.
    pub(super) async fn end(self, signal: Signal, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.process.signal(signal);
        let ended = tokio::task::spawn_blocking(move || self.process.wait(limit)).await?;
        ended.with_context(|| format!("trellis still runs {limit:?} after signal {}", signal.as_raw()))
    }

    /// Ends it at once, and waits a little.
    pub(super) fn kill(&self) {
        self.process.signal(Signal::KILL);
        self.process.wait(Duration::from_secs(5));
    }
}

/// Reads on afterwards, as a full pipe would hold the platform up.
fn first_line(stdout: ChildStdout) -> anyhow::Result<oneshot::Receiver<String>> {
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new().name("trellis-stdout".to_owned()).spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        if stdout.read_line(&mut line).is_ok_and(|count| count > 0) {
            // Nobody listens any more if it took too long.
            let _ = sender.send(line);
        }
        let _ = std::io::copy(&mut stdout.by_ref(), &mut std::io::sink());
    })?;
    Ok(receiver)
}
