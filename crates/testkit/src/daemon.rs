//! A server process for a test.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;

use crate::kept::{self, Kept};

const READY_WITHIN: Duration = Duration::from_mins(1);
const STOP_WITHIN: Duration = Duration::from_secs(15);
const KEPT_LINES: usize = 200;

/// What to run, and how to tell that it is ready.
pub(crate) struct Plan<'p> {
    pub(crate) name: &'static str,
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) folder: &'p Path,
    /// Runs under this account.
    pub(crate) account: Option<(u32, u32)>,
    /// A part of the line that it writes when it can be used.
    pub(crate) ready: &'static str,
    /// Ends it at once, but in order.
    pub(crate) stop: Signal,
}

/// A running server; dropping it stops it.
pub(crate) struct Daemon {
    stop: Signal,
    process: Kept,
}

enum Report {
    Ready,
    Ended(String),
}

impl Daemon {
    pub(crate) fn start(plan: &Plan<'_>) -> anyhow::Result<Self> {
        let name = plan.name;
        let mut command = kept::command(&plan.program, Some(plan.stop), plan.account)?;
        // Both streams into one pipe; its end shows that nothing of the server is left.
        let (output, input) = std::io::pipe()?;
        command.args(&plan.args).current_dir(plan.folder);
        command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
        let (process, _) = Kept::spawn(command).context(name)?;
        let daemon = Self { stop: plan.stop, process };

        let (sender, reports) = mpsc::channel();
        let ready = plan.ready;
        std::thread::Builder::new()
            .name(format!("{name}-output"))
            .spawn(move || read(output, ready, &sender))?;
        match reports.recv_timeout(READY_WITHIN) {
            Ok(Report::Ready) => Ok(daemon),
            Ok(Report::Ended(lines)) => bail!("{name} ended while starting:\n{lines}"),
            Err(_) => bail!("{name} was not ready within {READY_WITHIN:?}"),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.signal(self.stop);
        if self.process.wait(STOP_WITHIN).is_none() {
            self.process.signal(Signal::KILL);
        }
    }
}

/// Reads on as long as the server lives, which would block on a full pipe.
fn read(output: impl Read, ready: &str, reports: &mpsc::Sender<Report>) {
    let mut kept = VecDeque::new();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if line.contains(ready) {
            // Nobody listens any more if it took too long.
            let _ = reports.send(Report::Ready);
        }
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
    let _ = reports.send(Report::Ended(kept.make_contiguous().join("\n")));
}
