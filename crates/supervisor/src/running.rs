//! A child that runs.

use std::time::Instant;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::task::JoinSet;
use tokio::time::timeout_at;
use tracing::warn;

use crate::guard::pid_of;
use crate::output::Sink;
use crate::{Stream, exit};

/// A child, its process group and its output. Dropping it kills the child.
pub(crate) struct Running {
    child: Child,
    /// Its process id and that of its group.
    pub(crate) group: Pid,
    output: JoinSet<()>,
}

impl Running {
    /// `None` if the child has been waited for already.
    pub(crate) fn new(mut child: Child, sink: &Sink) -> Option<Self> {
        let group = pid_of(&child)?;
        let mut output = JoinSet::new();
        sink.read(child.stdout.take(), Stream::Stdout, &mut output);
        sink.read(child.stderr.take(), Stream::Stderr, &mut output);
        Some(Self { child, group, output })
    }

    /// Waits for its end, and says why in words.
    pub(crate) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => exit::describe(status),
            Err(error) => format!("how it ended cannot be told: {error}"),
        }
    }

    /// Sends a signal to it and to all it has started.
    ///
    /// This is safe after its end too: the kernel does not use the id of a group again while a process is in it, nor
    /// soon after.
    pub(crate) fn signal(&self, signal: Signal) {
        match kill_process_group(self.group, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => warn!(group = %self.group, ?signal, %error, "a process cannot be signalled"),
        }
    }

    /// Waits until its output is read to the end, which is when all that shared it have ended; no longer than `until`.
    pub(crate) async fn drained(&mut self, until: Instant) {
        let all = async { while self.output.join_next().await.is_some() {} };
        let _ = timeout_at(until.into(), all).await;
    }
}
