//! The supervisor's side of the [`guardian`](crate::guardian).

use std::collections::HashSet;
use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{self, PipeWriter};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tracing::{error, warn};
use trellis_resilience::backoff::Backoff;

use crate::exit;
use crate::guardian::{Word, record};

/// Pauses before a guardian that ended is replaced.
const RESTART: Backoff = Backoff { initial: Duration::from_millis(10), max: Duration::from_secs(5) };
/// How long a guardian may take to end.
const END_WAIT: Duration = Duration::from_secs(2);

/// Knows the process groups that exist, and keeps a guardian that knows them too.
#[derive(Debug)]
pub(crate) struct Guard {
    command: Vec<OsString>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    groups: HashSet<Pid>,
    link: Option<Link>,
}

#[derive(Debug)]
struct Link {
    guardian: Pid,
    pipe: PipeWriter,
}

impl Guard {
    pub(crate) fn new(command: Vec<OsString>) -> Self {
        Self { command, state: Mutex::default() }
    }

    /// Starts a guardian that knows all groups from its first moment.
    pub(crate) fn start(&self) -> io::Result<Child> {
        let (program, args) = self.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let (reader, pipe) = io::pipe()?;
        // A guardian that does not read must not hold us up.
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let mut state = self.state();
        for &group in &state.groups {
            rustix::io::write(&pipe, &record(Word::Add, group))?;
        }
        // In a group of its own, so that Ctrl-C in a terminal does not end it before its work is done.
        let child =
            Command::new(program).args(args).stdin(reader).stdout(Stdio::null()).process_group(0).spawn()?;
        let guardian = pid_of(&child).ok_or_else(|| io::Error::other("it ended at once"))?;
        state.link = Some(Link { guardian, pipe });
        Ok(child)
    }

    /// A process group exists.
    pub(crate) fn add(&self, group: Pid) {
        let mut state = self.state();
        state.groups.insert(group);
        state.tell(Word::Add, group);
    }

    /// A process group is gone.
    pub(crate) fn remove(&self, group: Pid) {
        let mut state = self.state();
        state.groups.remove(&group);
        state.tell(Word::Remove, group);
    }

    /// Replaces the guardian whenever it ends.
    pub(crate) async fn watch(&self, guardian: &mut Child) -> Infallible {
        let mut deaths = 0_u32;
        loop {
            let reason = guardian.wait().await.map_or_else(|error| error.to_string(), exit::describe);
            warn!(reason, "the guardian of the modules' processes ended and is replaced");
            *guardian = loop {
                sleep(RESTART.delay(deaths, fastrand::f64())).await;
                deaths = deaths.saturating_add(1);
                match self.start() {
                    Ok(guardian) => break guardian,
                    Err(error) => error!(%error, "no guardian can be started"),
                }
            };
        }
    }

    /// Lets the guardian end, which kills what still exists.
    pub(crate) async fn close(&self, mut guardian: Child) {
        self.state().link = None;
        if timeout(END_WAIT, guardian.wait()).await.is_err()
            && let Err(error) = guardian.kill().await
        {
            warn!(%error, "the guardian of the modules' processes does not end");
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tell(&self, word: Word, group: Pid) {
        let Some(link) = &self.link else { return };
        if rustix::io::write(&link.pipe, &record(word, group)).is_err() {
            // It is dead or hangs. Once it is dead for sure, `watch` starts another, which is told everything.
            let _ = kill_process(link.guardian, Signal::KILL);
        }
    }
}

/// The process id of a child that has not been waited for.
pub(crate) fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()?).ok()?)
}
