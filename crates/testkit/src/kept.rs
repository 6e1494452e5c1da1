//! A child process that ends with the test process, even when that is killed.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::programs;

/// A running child. Its process number is its own until it was waited for, which happens under the lock.
pub(crate) struct Kept {
    pid: Pid,
    state: Arc<State>,
}

struct State {
    exit: Mutex<Option<ExitStatus>>,
    ended: Condvar,
}

/// A command that the kernel ends with this signal when the thread that started it ends, and that runs under this
/// account. Arguments are to follow.
pub(crate) fn command(
    program: &OsString,
    end: Option<Signal>,
    account: Option<(u32, u32)>,
) -> anyhow::Result<Command> {
    let mut command = Command::new(programs::find("setpriv", &[], "util-linux")?);
    if let Some((user, group)) = account {
        command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    }
    if let Some(signal) = end {
        command.arg(format!("--pdeathsig={}", name(signal)));
    }
    command.arg("--").arg(program);
    Ok(command)
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::QUIT => "QUIT",
        Signal::TERM => "TERM",
        _ => "KILL",
    }
}

impl Kept {
    /// Starts the child from a thread that lives as long as it: the threads of tests come and go. Also returns its
    /// standard output if that is piped.
    pub(crate) fn spawn(mut command: Command) -> anyhow::Result<(Self, Option<ChildStdout>)> {
        let (started, spawned) = mpsc::sync_channel(1);
        let state = Arc::new(State { exit: Mutex::new(None), ended: Condvar::new() });
        let shared = state.clone();
        let keeper = std::thread::Builder::new().name("keeper".to_owned());
        keeper.spawn(move || match command.spawn() {
            Ok(mut child) => {
                // What the command holds of pipes would keep them open.
                drop(command);
                // The other side waits for this message.
                let _ = started.send(Ok((child.id(), child.stdout.take())));
                shared.wait_for(child);
            }
            Err(error) => drop(started.send(Err(error))),
        })?;
        let (pid, stdout) = spawned.recv()?.context("the program cannot be run")?;
        let pid = Pid::from_raw(pid.cast_signed()).context("a process without a number")?;
        Ok((Self { pid, state }, stdout))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Sends a signal, unless it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let exit = self.state.exit();
        if exit.is_none() {
            // It may have ended in this moment; then it still has its number, as it was not waited for.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// How it ended, if it does within this time.
    pub(crate) fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        let mut exit = self.state.exit();
        while exit.is_none() {
            let left = deadline.checked_duration_since(Instant::now())?;
            exit = self.state.ended.wait_timeout(exit, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *exit
    }
}

impl State {
    fn exit(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for(&self, mut child: Child) {
        if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
            // Only watches; the number stays taken until the lock is held.
            let watch = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), watch), Err(Errno::INTR)) {}
        }
        let mut exit = self.exit();
        *exit = Some(child.wait().unwrap_or_else(|_| ExitStatus::from_raw(-1)));
        self.ended.notify_all();
    }
}
