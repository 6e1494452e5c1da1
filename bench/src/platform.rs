//! The platform with the shop, started as a user starts it: the release (or debug) programs, a data directory, free
//! ports.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::client::Client;
use crate::procs;

/// Longest wait for all modules to become ready.
const START_LIMIT: Duration = Duration::from_mins(1);
/// Name of the platform's log.
const LOG: &str = "trellis.log";
/// Longest wait for what a killed platform leaves behind to end.
const ORPHAN_LIMIT: Duration = Duration::from_secs(10);
/// Longest wait for the platform to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The programs that are measured, and the manifest that says how they belong together.
#[derive(Debug, Clone)]
pub struct Programs {
    trellis: PathBuf,
    manifest: PathBuf,
}

/// How the shop's modules run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// One process.
    Monolith,
    /// A process for each module.
    Microservices,
}

impl Phase {
    /// Both, the one with more moving parts first.
    pub const ALL: [Self; 2] = [Self::Microservices, Self::Monolith];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monolith => "monolith",
            Self::Microservices => "microservices",
        }
    }
}

/// A running platform. Dropping it kills it; [`Platform::stop`] stops it as an operator does.
pub struct Platform {
    child: Child,
    log: PathBuf,
    ready: Ready,
    /// From the start of the program to its word that every module is ready.
    pub started_in: Duration,
}

/// What `trellis up --json` says when every module is ready or has failed.
#[derive(Debug, Deserialize)]
struct Ready {
    pid: u32,
    gateway: String,
    admin: String,
    #[serde(rename = "not_ready")]
    laggards: Vec<Laggard>,
}

#[derive(Debug, Deserialize)]
struct Laggard {
    id: String,
    reason: String,
}

/// A supervised process.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Process {
    /// Its instance id, such as `orders-1`.
    pub id: String,
    /// Its process id, while it runs.
    pub pid: Option<u32>,
    /// `ready` when it can serve.
    pub state: String,
}

#[derive(Deserialize)]
struct Status {
    processes: Vec<Process>,
}

impl Programs {
    /// The ones in the folder that `program` was built into, or in the one above it (a test's own folder is `deps`).
    pub fn beside(program: &Path) -> Result<Self> {
        let mut folder = program.parent().context("a program without a folder")?;
        if folder.file_name().is_some_and(|name| name == "deps") {
            folder = folder.parent().context("a `deps` folder without a parent")?;
        }
        for name in ["trellis", "shop"] {
            ensure!(
                folder.join(name).is_file(),
                "{} is missing: build it with `cargo build -p trellis -p shop` (with --release for a measurement)",
                folder.join(name).display()
            );
        }
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shop/trellis.toml");
        let manifest =
            manifest.canonicalize().with_context(|| format!("{} is missing", manifest.display()))?;
        Ok(Self { trellis: folder.join("trellis"), manifest })
    }
}

impl Platform {
    /// Starts the platform on `folder/data`, logging to `folder/trellis.log`, and waits until every module is ready.
    pub async fn start(programs: &Programs, folder: &Path, phase: Phase) -> Result<Self> {
        let log = folder.join(LOG);
        let stderr = std::fs::File::options().create(true).append(true).open(&log);
        let stderr = stderr.with_context(|| format!("cannot write {}", log.display()))?;
        let began = Instant::now();
        let mut child = Command::new(&programs.trellis)
            .args(["up", "--json", "--any-port", "--phase", phase.as_str()])
            .arg("-f")
            .arg(&programs.manifest)
            .arg("--data-dir")
            .arg(folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", programs.trellis.display()))?;
        let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let first = tokio::time::timeout(START_LIMIT, lines.next_line()).await;
        let started_in = began.elapsed();
        let ready: Ready = match first {
            Ok(Ok(Some(line))) => {
                serde_json::from_str(&line).with_context(|| format!("`trellis up --json` said {line}"))?
            }
            Ok(_) => bail!("trellis ended before it was ready; its last words:\n{}", tail(&log)),
            Err(_) => bail!("trellis was not ready within {START_LIMIT:?}; its last words:\n{}", tail(&log)),
        };
        if let Some(module) = ready.laggards.first() {
            bail!("{} did not become ready: {}; the last words:\n{}", module.id, module.reason, tail(&log));
        }
        // Nobody reads on, but the platform must not find its output closed.
        tokio::spawn(async move { while matches!(lines.next_line().await, Ok(Some(_))) {} });
        Ok(Self { child, log, ready, started_in })
    }

    /// Where clients knock: `http://host:port`.
    pub fn gateway(&self) -> &str {
        &self.ready.gateway
    }

    /// The platform's own process.
    pub fn pid(&self) -> u32 {
        self.ready.pid
    }

    /// The supervised processes now, from the admin API.
    pub async fn processes(&self) -> Result<Vec<Process>> {
        let mut admin = Client::new(&self.ready.admin, Duration::from_secs(5));
        Ok(admin.get::<Status>("/v1/status").await?.1.processes)
    }

    /// Whether every supervised process can serve.
    pub async fn all_ready(&self) -> Result<bool> {
        Ok(self.processes().await?.iter().all(|process| process.state == "ready"))
    }

    /// Stops the platform with SIGTERM and checks that it ends well and leaves no process behind.
    pub async fn stop(mut self) -> Result<()> {
        let family = procs::descendants(self.pid()).context("the platform is gone")?;
        kill_process(pid(self.ready.pid)?, Signal::TERM).context("cannot signal the platform")?;
        let Ok(status) = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await else {
            bail!("trellis did not stop within {STOP_LIMIT:?}; its last words:\n{}", tail(&self.log));
        };
        let status = status?;
        ensure!(status.success(), "trellis stopped with {status}; its last words:\n{}", tail(&self.log));
        no_orphans(&family, Duration::ZERO).await
    }

    /// Kills the platform with -9 and checks that nothing it started runs on.
    pub async fn crash(mut self) -> Result<()> {
        let family = procs::descendants(self.pid()).context("the platform is gone")?;
        kill(self.pid())?;
        self.child.wait().await.context("cannot wait for the platform")?;
        // The guardian needs a moment to see it.
        no_orphans(&family, ORPHAN_LIMIT).await
    }
}

async fn no_orphans(family: &[u32], limit: Duration) -> Result<()> {
    let began = Instant::now();
    loop {
        let orphans: Vec<&u32> = family.iter().filter(|pid| procs::is_running(**pid)).collect();
        if orphans.is_empty() {
            return Ok(());
        }
        ensure!(began.elapsed() < limit, "trellis left processes behind: {orphans:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The end of the log of a platform in `folder`, for a person.
pub fn last_words(folder: &Path) -> String {
    tail(&folder.join(LOG))
}

/// Kills a process as the kernel's out-of-memory killer does.
pub fn kill(process: u32) -> Result<()> {
    kill_process(pid(process)?, Signal::KILL).with_context(|| format!("cannot kill {process}"))
}

fn pid(raw: u32) -> Result<Pid> {
    i32::try_from(raw).ok().and_then(Pid::from_raw).with_context(|| format!("{raw} is not a process id"))
}

/// The end of a program's log.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_way_to_build_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("trellis"), "").unwrap();
        let error = Programs::beside(&folder.path().join("deps/it-0123")).unwrap_err().to_string();
        assert!(
            error.contains("shop is missing") && error.contains("cargo build -p trellis -p shop"),
            "{error}"
        );
    }

    #[test]
    fn the_end_of_a_log_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let lines: Vec<String> = (1..=30).map(|n| format!("line {n}")).collect();
        std::fs::write(&log, lines.join("\n")).unwrap();
        let shown = tail(&log);
        assert!(shown.starts_with("line 11\n") && shown.ends_with("line 30"), "{shown}");
        assert_eq!(tail(&folder.path().join("none")), "");
    }
}
