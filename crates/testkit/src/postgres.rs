//! A real PostgreSQL server in a temporary folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use rustix::process::Signal;

use crate::daemon::{Daemon, Plan};
use crate::kept;
use crate::programs;
use crate::scratch::Scratch;

const PACKAGE: &str = "postgresql";
const USER: &str = "trellis";
const PASSWORD: &str = "sesame";
/// The port is chosen before the server takes it, so another process may be faster.
const ATTEMPTS: usize = 5;

static SHARED: Mutex<Option<Arc<Postgres>>> = Mutex::new(None);

/// A server of its own, with `fsync` on as in earnest. Dropping it stops it and removes its data.
pub struct Postgres {
    port: u16,
    programs: PathBuf,
    databases: AtomicU32,
    account: Option<(u32, u32)>,
    // Stopped before its folder is removed, by the order of the fields.
    daemon: Mutex<Option<Daemon>>,
    folder: Scratch,
}

impl Postgres {
    /// Starts a server; takes one or two seconds.
    pub fn start() -> anyhow::Result<Self> {
        let initdb = programs::find("initdb", &installed(), PACKAGE)?;
        let programs = initdb.parent().map(Path::to_owned).unwrap_or_default();
        let account = account()?;
        let folder = Scratch::new("postgres", account)?;
        let data = folder.path().join("data");
        initialise(&initdb, &data, account)?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let port = programs::free_port()?;
            match Daemon::start(&plan(&programs, folder.path(), &data, account, port)) {
                Ok(daemon) => {
                    return Ok(Self {
                        port,
                        programs,
                        databases: AtomicU32::new(0),
                        account,
                        daemon: Mutex::new(Some(daemon)),
                        folder,
                    });
                }
                Err(error) if format!("{error:#}").contains("in use") => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("PostgreSQL did not start")))
    }

    /// The server that the tests of this process share, started for the first of them. It ends with the process.
    pub fn shared() -> anyhow::Result<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        match &*shared {
            Some(server) => Ok(server.clone()),
            None => Ok(shared.insert(Arc::new(Self::start()?)).clone()),
        }
    }

    /// Stops the server as a power cut would, but for what the disk had not synced: it aborts, and recovers when it
    /// [starts again](Self::start_again).
    pub fn stop(&self) {
        drop(self.daemon().take());
    }

    /// Starts the server that was stopped, with its data and at its port.
    pub fn start_again(&self) -> anyhow::Result<()> {
        let mut daemon = self.daemon();
        if daemon.is_none() {
            let data = self.folder.path().join("data");
            let plan = plan(&self.programs, self.folder.path(), &data, self.account, self.port);
            *daemon = Some(Daemon::start(&plan)?);
        }
        Ok(())
    }

    /// The URL of the database that every server has.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Makes a new, empty database and returns its URL.
    pub fn fresh_database(&self) -> anyhow::Result<String> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name}"))?;
        Ok(self.url_of(&name))
    }

    /// Runs a statement as the superuser, to bring about a fault for example.
    pub fn execute(&self, sql: &str) -> anyhow::Result<()> {
        let output = Command::new(self.programs.join("psql"))
            .args([
                "--no-psqlrc",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                "--host=127.0.0.1",
                "--dbname=postgres",
            ])
            .args([format!("--port={}", self.port), format!("--username={USER}"), format!("--command={sql}")])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .context("psql cannot be run")?;
        if !output.status.success() {
            bail!("psql failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    fn daemon(&self) -> MutexGuard<'_, Option<Daemon>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }
}

/// Debian keeps the server's programs out of PATH, one folder for each version; the newest first.
fn installed() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// PostgreSQL refuses to run as root.
fn account() -> anyhow::Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let found = programs::account("postgres").or_else(|| programs::account("nobody"));
    found
        .map(Some)
        .with_context(|| format!("there is no account `postgres`; install it: apt-get install {PACKAGE}"))
}

fn initialise(initdb: &Path, data: &Path, account: Option<(u32, u32)>) -> anyhow::Result<()> {
    let password = data.with_file_name("password");
    std::fs::write(&password, PASSWORD)?;
    let mut command = kept::command(&initdb.into(), None, account)?;
    // What initdb writes need not survive a power cut; what the server writes is synced.
    command.args(["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--username", USER]);
    let output = command.arg("--pgdata").arg(data).arg("--pwfile").arg(&password).current_dir("/").output();
    let output = output.context("initdb cannot be run")?;
    if !output.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn plan<'p>(
    programs: &Path,
    folder: &'p Path,
    data: &Path,
    account: Option<(u32, u32)>,
    port: u16,
) -> Plan<'p> {
    let mut args: Vec<OsString> = vec!["-D".into(), data.into()];
    let port = format!("port={port}");
    for setting in [
        "listen_addresses=127.0.0.1",
        port.as_str(),
        "unix_socket_directories=",
        "fsync=on",
        "max_connections=200",
        "lc_messages=C",
        "log_min_messages=warning",
    ] {
        args.extend(["-c".into(), setting.into()]);
    }
    Plan {
        name: "postgres",
        program: programs.join("postgres").into(),
        args,
        folder,
        account,
        ready: "database system is ready to accept connections",
        stop: Signal::QUIT,
    }
}
