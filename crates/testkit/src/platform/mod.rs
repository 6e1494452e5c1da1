//! The whole platform: the real program `trellis`, running a real application.

mod left_behind;
mod manifest;
mod modules;
mod options;
mod run;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use http::Method;
use rustix::process::Signal;

use crate::scratch::Scratch;
use crate::{Call, Http, wait_until};
use run::{Readiness, Run};

pub use modules::ModuleProcess;
pub use options::PlatformOptions;

/// Longer than the platform gives its modules.
const STOP_WITHIN: Duration = Duration::from_secs(40);
/// How long what is told to end may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// How much of the log a failing test shows.
const SHOWN_LINES: usize = 150;

/// A platform for a test. When a test fails, the end of the platform's log is shown.
pub struct Platform {
    options: PlatformOptions,
    manifest: PathBuf,
    data_dir: PathBuf,
    http: Http,
    run: Option<Run>,
    readiness: Readiness,
    // Removed last.
    _scratch: Scratch,
}

impl Platform {
    /// Starts the platform on free ports, and waits until every module is ready.
    pub async fn start(options: PlatformOptions) -> anyhow::Result<Self> {
        let scratch = Scratch::new("platform", None)?;
        let data_dir = options.data_dir.clone().unwrap_or_else(|| scratch.path().join("data"));
        let data_dir = std::path::absolute(data_dir)?;
        std::fs::create_dir_all(&data_dir).with_context(|| data_dir.display().to_string())?;
        let manifest = place_manifest(&options, scratch.path())?;
        let (run, readiness) = launch(&options, &manifest, &data_dir).await?;
        let http = Http::new();
        Ok(Self { options, manifest, data_dir, http, run: Some(run), readiness, _scratch: scratch })
    }

    /// Starts it again, on the same data, after it was stopped or killed. Its ports are others.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.run.is_none(), "it still runs");
        let (run, readiness) = launch(&self.options, &self.manifest, &self.data_dir).await?;
        self.run = Some(run);
        self.readiness = readiness;
        Ok(())
    }

    /// URL for clients.
    pub fn gateway(&self) -> &str {
        &self.readiness.gateway
    }

    /// URL of the admin API.
    pub fn admin(&self) -> &str {
        &self.readiness.admin
    }

    /// URL of the door for clients of Consul, if it is open.
    pub fn consul(&self) -> anyhow::Result<&str> {
        self.readiness.consul.as_deref().context("the door for Consul is not open")
    }

    /// Address of the door for DNS, if it is open.
    pub fn dns(&self) -> anyhow::Result<SocketAddr> {
        self.readiness.dns.context("the door for DNS is not open")
    }

    /// URL of the door for clients of Eureka, if it is open.
    pub fn eureka(&self) -> anyhow::Result<&str> {
        self.readiness.eureka.as_deref().context("the door for Eureka is not open")
    }

    /// From the start to everything ready, in milliseconds, by its own account.
    pub fn ready_ms(&self) -> u64 {
        self.readiness.ready_ms
    }

    /// The folder with its state.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.run.as_ref().map(Run::pid)
    }

    /// The client.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// A request to a path of the gateway.
    pub fn call(&self, method: Method, path: &str) -> Call {
        self.http.call(method, format!("{}{path}", self.gateway()))
    }

    /// A GET of a path of the gateway.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// A POST to a path of the gateway.
    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    /// All it has logged: its own log and its modules' output.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(log_file(&self.data_dir)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Stops it with SIGTERM, and returns its exit code. Fails if a process of it is left.
    pub async fn stop(&mut self) -> anyhow::Result<i32> {
        let run = self.run.take().context("it does not run")?;
        let status = run.end(Signal::TERM, STOP_WITHIN).await?;
        self.nothing_left().await?;
        status.code().with_context(|| format!("trellis ended by a signal: {status}"))
    }

    /// Kills it with SIGKILL, and waits until none of its processes is left; fails if one stays.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let run = self.run.take().context("it does not run")?;
        run.end(Signal::KILL, STOP_WITHIN).await?;
        self.nothing_left().await
    }

    async fn nothing_left(&self) -> anyhow::Result<()> {
        let gone =
            wait_until("all gone", GONE_WITHIN, || async { left_behind::marked(&self.data_dir).is_empty() });
        if gone.await.is_err() {
            bail!("processes are left behind:\n{}", left_behind::marked(&self.data_dir).join("\n"));
        }
        Ok(())
    }
}

impl Drop for Platform {
    #[expect(clippy::print_stderr, reason = "the test harness shows it with the failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", end_of_log(&self.data_dir));
        }
        if let Some(run) = self.run.take() {
            run.kill();
        }
        let deadline = Instant::now() + GONE_WITHIN;
        while !left_behind::marked(&self.data_dir).is_empty() && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

async fn launch(
    options: &PlatformOptions,
    manifest: &Path,
    data_dir: &Path,
) -> anyhow::Result<(Run, Readiness)> {
    let started = Run::start(options, manifest, data_dir, &log_file(data_dir)).await;
    started.with_context(|| end_of_log(data_dir))
}

fn place_manifest(options: &PlatformOptions, folder: &Path) -> anyhow::Result<PathBuf> {
    let original = std::path::absolute(&options.manifest)?;
    if options.settings.is_empty() {
        return Ok(original);
    }
    let text = std::fs::read_to_string(&original).with_context(|| original.display().to_string())?;
    let beside = original.parent().unwrap_or(Path::new("/"));
    let copy = folder.join("trellis.toml");
    std::fs::write(&copy, manifest::rewrite(&text, beside, &options.settings)?)?;
    Ok(copy)
}

fn log_file(data_dir: &Path) -> PathBuf {
    data_dir.join("trellis.log")
}

fn end_of_log(data_dir: &Path) -> String {
    let bytes = std::fs::read(log_file(data_dir)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
    format!("--- the end of the platform's log ---\n{shown}\n--- until here ---")
}
