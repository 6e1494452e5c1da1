//! What is run, and how.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use trellis_core::model::{RestartModel, SocketMode};
use trellis_core::{InstanceId, ServiceName};

/// What all processes share.
#[derive(Debug, Clone)]
pub struct Options {
    /// Program and arguments that lead to [`launch::run`](crate::launch::run); a child's command is put behind them.
    pub launcher: Vec<OsString>,
    /// Program and arguments that lead to [`guardian::run`](crate::guardian::run).
    pub guardian: Vec<OsString>,
    /// How many files a child may have open at once (its soft limit, which it may raise); as many as this process may if
    /// absent. Programs walk through all numbers up to it, or cannot use high ones, so it is for them to want more.
    pub open_files: Option<u64>,
    /// Longest line of output that is passed on whole; a longer one comes in pieces. In bytes, at least 64.
    pub max_line_bytes: usize,
}

/// One process.
#[derive(Debug, Clone)]
pub struct ProcessSpec {
    /// What it is called.
    pub id: InstanceId,
    /// The services it is an instance of.
    pub provides: Vec<ServiceName>,
    /// Services of which an instance must be ready before this one starts. Those it provides itself do not count.
    pub needs: Vec<ServiceName>,
    /// Processes that must be ready before this one starts, and that stop after it.
    pub after: Vec<InstanceId>,
    /// Path of the program (see [`resolve_command`](crate::resolve_command)) and its arguments.
    pub command: Vec<OsString>,
    /// Added to the environment it inherits. `PORT` and the variables of the socket protocol are the supervisor's.
    pub env: BTreeMap<String, String>,
    /// Working directory.
    pub directory: PathBuf,
    /// How it gets its socket.
    pub socket: SocketMode,
    /// Listeners that it inherits as well, behind its own if that is inherited. See [`listen`](crate::listen).
    pub more_sockets: Vec<Arc<TcpListener>>,
    /// Path that answers 2xx when it can serve.
    pub health_path: String,
    /// How long it may take to become ready; then it is stopped and started again.
    pub start_timeout: Duration,
    /// How often the health path is asked once it is ready.
    pub health_interval: Duration,
    /// How long the health path may take.
    pub health_timeout: Duration,
    /// How long it may take to stop after SIGTERM; then it is killed.
    pub grace: Duration,
    /// How long to wait before it is started again.
    pub restart: RestartModel,
}

impl Options {
    /// Options with the default for all that has one: lines of up to 16 KiB, the limit of open files as it is.
    pub fn new(launcher: Vec<OsString>, guardian: Vec<OsString>) -> Self {
        Self { launcher, guardian, open_files: None, max_line_bytes: 16 << 10 }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A spec that is complete, for tests that look at a part of it.
    pub(crate) fn spec(id: &str, provides: &[&str], needs: &[&str]) -> ProcessSpec {
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        ProcessSpec {
            id: id.parse().unwrap(),
            provides: names(provides),
            needs: names(needs),
            after: Vec::new(),
            command: vec!["/bin/true".into()],
            env: BTreeMap::new(),
            directory: "/".into(),
            socket: SocketMode::Port,
            more_sockets: Vec::new(),
            health_path: "/health".into(),
            start_timeout: Duration::from_secs(30),
            health_interval: Duration::from_secs(5),
            health_timeout: Duration::from_secs(2),
            grace: Duration::from_secs(10),
            restart: RestartModel::default(),
        }
    }
}
