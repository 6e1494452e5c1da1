//! What a supervisor tells while it works.

use std::time::Duration;

use trellis_core::InstanceId;

/// Something that happened to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessEvent {
    /// It runs, and is not yet ready.
    Started {
        /// Which.
        id: InstanceId,
        /// Its process id, which is also the id of its process group.
        pid: u32,
        /// Its port on 127.0.0.1; after a restart it is another one only if somebody took the old one.
        port: u16,
    },
    /// Its health path answers, for the first time or again.
    Ready {
        /// Which.
        id: InstanceId,
        /// Its port on 127.0.0.1.
        port: u16,
    },
    /// It runs, but its health path failed three times in a row.
    Unready {
        /// Which.
        id: InstanceId,
        /// What the last check said.
        reason: String,
    },
    /// It ended, or could not be started, and was not asked to stop.
    Exited {
        /// Which.
        id: InstanceId,
        /// Why, in words: `exit code 3`, `killed by signal 9 (SIGKILL)`.
        reason: String,
        /// The wait before it is started again.
        restart_in: Duration,
    },
    /// It is stopped for good, because the supervisor is.
    Stopped {
        /// Which.
        id: InstanceId,
    },
}

/// Where a line of output was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Is told what happens. Called from the tasks that do the work, so it must not block.
pub trait Observer: Send + Sync + 'static {
    /// Something happened. [`Handle`](crate::Handle) shows it as soon as this returns, and what waits for it (the
    /// start of a process that needs this one) goes on only then.
    fn event(&self, event: &ProcessEvent);

    /// A process wrote a line: without its end, in valid UTF-8, no longer than `Options::max_line_bytes` (three times
    /// that if it was not UTF-8).
    fn line(&self, id: &InstanceId, stream: Stream, line: &str);
}
