//! What is known of the processes, for those who wait and those who ask.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use trellis_core::{InstanceId, ServiceName};
use trellis_runtime::WallClock;

use crate::plan::Plan;
use crate::{Handle, ProcessSpec, ProcessState};

/// Lines of output kept of each process, and bytes of each line.
const KEPT_LINES: usize = 20;
const KEPT_BYTES: usize = 1 << 10;

/// The drivers' side of a [`Handle`].
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) fixed: Arc<Fixed>,
    entries: watch::Sender<Vec<Entry>>,
    clock: WallClock,
}

/// What does not change about the processes.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) plan: Plan,
    pub(crate) processes: Vec<About>,
}

/// One process.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) id: InstanceId,
    pub(crate) provides: Vec<ServiceName>,
    tail: Mutex<VecDeque<String>>,
}

/// What changes about a process.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) state: ProcessState,
    pub(crate) pid: Option<u32>,
    pub(crate) port: u16,
    pub(crate) restarts: u32,
    pub(crate) since_unix_ms: i64,
    pub(crate) last_exit: Option<String>,
    pub(crate) was_ready: bool,
    /// Why the first start failed.
    pub(crate) failed: Option<String>,
}

impl Board {
    /// For processes and their ports.
    pub(crate) fn new<'a>(
        processes: impl Iterator<Item = (&'a ProcessSpec, u16)>,
        plan: Plan,
        clock: WallClock,
    ) -> Self {
        let since_unix_ms = clock.unix_millis();
        let row = |(spec, port): (&ProcessSpec, u16)| {
            let about =
                About { id: spec.id.clone(), provides: spec.provides.clone(), tail: Mutex::default() };
            (about, Entry::waiting(port, since_unix_ms))
        };
        let (processes, entries) = processes.map(row).unzip();
        Self { fixed: Arc::new(Fixed { plan, processes }), entries: watch::Sender::new(entries), clock }
    }

    pub(crate) fn handle(&self) -> Handle {
        Handle { fixed: self.fixed.clone(), entries: self.entries.subscribe() }
    }

    /// Changes what is known of a process.
    pub(crate) fn set(&self, index: usize, state: ProcessState, change: impl FnOnce(&mut Entry)) {
        self.entries.send_modify(|entries| {
            let entry = &mut entries[index];
            if entry.state != state {
                entry.state = state;
                entry.since_unix_ms = self.clock.unix_millis();
                entry.was_ready |= state == ProcessState::Ready;
            }
            change(entry);
        });
    }

    /// Takes note that a start failed; only the first counts, and only if it was not ready before.
    pub(crate) fn failed(&self, index: usize, reason: &str) {
        self.entries.send_if_modified(|entries| {
            let entry = &mut entries[index];
            let first = !entry.was_ready && entry.failed.is_none();
            if first {
                entry.failed = Some(reason.to_owned());
            }
            first
        });
    }

    /// Waits until all that a process needs is ready.
    pub(crate) async fn needs_ready(&self, index: usize) {
        self.until(|entries| self.fixed.unmet(index, entries).is_none()).await;
    }

    /// Waits until all that need a process are stopped.
    pub(crate) async fn dependents_stopped(&self, index: usize) {
        let dependents = self.fixed.plan.dependents(index);
        self.until(|entries| dependents.iter().all(|&other| entries[other].state == ProcessState::Stopped))
            .await;
    }

    async fn until(&self, reached: impl Fn(&[Entry]) -> bool) {
        let mut entries = self.entries.subscribe();
        // The sender is `self`, so the wait does not end before it is reached.
        let _ = entries.wait_for(|entries| reached(entries)).await;
    }
}

impl Entry {
    fn waiting(port: u16, since_unix_ms: i64) -> Self {
        Self {
            state: ProcessState::Waiting,
            pid: None,
            port,
            restarts: 0,
            since_unix_ms,
            last_exit: None,
            was_ready: false,
            failed: None,
        }
    }
}

impl Fixed {
    fn unmet(&self, index: usize, entries: &[Entry]) -> Option<&str> {
        let ready = |provider: usize| entries[provider].state == ProcessState::Ready;
        self.plan.unmet(index, ready).map(|need| need.what.as_str())
    }

    /// See [`Handle::settled`].
    pub(crate) fn settled(&self, entries: &[Entry]) -> bool {
        let failed = |index: usize| !entries[index].was_ready && entries[index].failed.is_some();
        let waiting = |index: usize| entries[index].state == ProcessState::Waiting;
        let hopeless = self.plan.hopeless(failed, waiting);
        let settled = |(entry, hopeless): (&Entry, bool)| {
            entry.was_ready || hopeless || entry.state == ProcessState::Stopped
        };
        entries.iter().zip(hopeless).all(settled)
    }

    /// What keeps a process from being ready.
    pub(crate) fn why_not_ready(&self, index: usize, entries: &[Entry]) -> String {
        let entry = &entries[index];
        match (&entry.failed, entry.state, self.unmet(index, entries)) {
            (Some(reason), ..) => reason.clone(),
            (None, ProcessState::Waiting, Some(need)) => format!("waits for {need}"),
            (None, ProcessState::Stopped | ProcessState::Stopping, _) => "stopped before it was ready".into(),
            _ => "not ready yet".into(),
        }
    }
}

impl About {
    /// Keeps a line for later diagnosis.
    pub(crate) fn keep(&self, line: &str) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == KEPT_LINES {
            tail.pop_front();
        }
        tail.push_back(line[..line.floor_char_boundary(KEPT_BYTES)].to_owned());
    }

    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::tests::spec;

    fn board(specs: &[ProcessSpec]) -> Board {
        let rows = specs.iter().map(|spec| (spec, 1));
        Board::new(rows, Plan::new(specs).unwrap(), WallClock::fixed(7))
    }

    #[test]
    fn the_tail_is_bounded() {
        let board = board(&[spec("a", &["a"], &[])]);
        let about = &board.fixed.processes[0];
        for number in 0..100 {
            about.keep(&format!("{number} {}", "ä".repeat(2 * KEPT_BYTES)));
        }
        let lines = about.last_lines();
        assert_eq!(lines.len(), KEPT_LINES);
        assert!(lines[0].starts_with("80 ") && lines.iter().all(|line| line.len() <= KEPT_BYTES));
    }

    #[test]
    fn it_is_settled_when_nothing_more_is_to_be_expected() {
        let specs = [spec("a", &["a"], &[]), spec("b", &["b"], &["a"]), spec("c", &["c"], &[])];
        let board = board(&specs);
        let handle = board.handle();
        let settled = || board.fixed.settled(&handle.entries.borrow());
        assert!(!settled());
        board.set(2, ProcessState::Ready, |_| {});
        board.set(0, ProcessState::Starting, |_| {});
        assert!(!settled());
        board.set(0, ProcessState::Backoff, |entry| entry.failed = Some("exit code 1".into()));
        assert!(settled(), "b waits for a, which failed");
        board.set(0, ProcessState::Ready, |_| {});
        assert!(!settled(), "b may start now");
        board.set(1, ProcessState::Stopped, |_| {});
        assert!(settled());
        assert_eq!(handle.processes()[1].since_unix_ms, 7);
    }
}
