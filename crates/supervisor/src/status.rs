//! How the processes are.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;
use trellis_core::{InstanceId, ServiceName, codes};

use crate::board::{Entry, Fixed};

/// Where a process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// Something it needs is not ready yet.
    Waiting,
    /// It runs and has not answered its health path yet.
    Starting,
    /// It runs and answers.
    Ready,
    /// It runs but does not answer any more.
    Unready,
    /// It ended and will be started again.
    Backoff,
    /// It was asked to stop.
    Stopping,
    /// It is stopped for good.
    Stopped,
}

/// How one process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessStatus {
    /// What it is called.
    pub id: InstanceId,
    /// The services it is an instance of.
    pub provides: Vec<ServiceName>,
    /// Where it is in its life.
    pub state: ProcessState,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// How often it was started again.
    pub restarts: u32,
    /// Since when it has been in this state, in milliseconds since 1970.
    pub since_unix_ms: i64,
    /// Why it ended last.
    pub last_exit: Option<String>,
    /// The end of its output, of this run and earlier ones.
    pub last_lines: Vec<String>,
}

/// A process that has never been ready, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotReady {
    /// Which.
    pub id: InstanceId,
    /// What is known about it: `exit code 3`, `waits for payments`.
    pub reason: String,
    /// The end of its output.
    pub last_lines: Vec<String>,
}

/// Tells how the processes of a [`Supervisor`](crate::Supervisor) are.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) fixed: Arc<Fixed>,
    pub(crate) entries: watch::Receiver<Vec<Entry>>,
}

impl Handle {
    /// All processes, in the order of their specs.
    pub fn processes(&self) -> Vec<ProcessStatus> {
        let entries = self.entries.borrow().clone();
        let status = |(index, entry): (usize, Entry)| {
            let about = &self.fixed.processes[index];
            ProcessStatus {
                id: about.id.clone(),
                provides: about.provides.clone(),
                state: entry.state,
                pid: entry.pid,
                port: entry.port,
                restarts: entry.restarts,
                since_unix_ms: entry.since_unix_ms,
                last_exit: entry.last_exit,
                last_lines: about.last_lines(),
            }
        };
        entries.into_iter().enumerate().map(status).collect()
    }

    /// Waits until every process has been ready, or has failed its first start, or waits for one that has; also ends
    /// when the supervisor does. Answers those that have never been ready, in the order of their specs.
    pub async fn settled(&self) -> Vec<NotReady> {
        let mut entries = self.entries.clone();
        // The error says that the supervisor has ended; what it left is the answer.
        let _ = entries.wait_for(|entries| self.fixed.settled(entries)).await;
        let entries = self.entries.borrow().clone();
        let not_ready = |(index, entry): (usize, &Entry)| {
            let about = &self.fixed.processes[index];
            let reason = self.fixed.why_not_ready(index, &entries);
            (!entry.was_ready).then(|| NotReady {
                id: about.id.clone(),
                reason,
                last_lines: about.last_lines(),
            })
        };
        entries.iter().enumerate().filter_map(not_ready).collect()
    }
}

impl From<NotReady> for trellis_core::Error {
    fn from(process: NotReady) -> Self {
        Self::new(codes::NOT_READY, format!("{} did not become ready: {}", process.id, process.reason))
    }
}
