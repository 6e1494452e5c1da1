//! Leads one process through its life: carries out what its [`Lifecycle`] decides, and tells it what happens.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::time::sleep_until;
use tracing::error;
use trellis_core::HumanDuration;
use trellis_runtime::Shutdown;

use crate::board::Board;
use crate::guard::Guard;
use crate::lifecycle::{Action, Event, Lifecycle};
use crate::output::Sink;
use crate::ports::Ports;
use crate::prepared::Prepared;
use crate::running::Running;
use crate::spawner::Spawner;
use crate::{Observer, Options, ProcessEvent, ProcessState, probe};

/// How long to read on after a process has ended and its group was killed: the pipes hold what it wrote last.
const LAST_WORDS: Duration = Duration::from_millis(250);

type Check = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What all drivers share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) board: Board,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) ports: Ports,
    pub(crate) spawner: Spawner,
    pub(crate) guard: Arc<Guard>,
}

/// Leads one process through its life.
pub(crate) struct Driver {
    index: usize,
    process: Prepared,
    shared: Arc<Shared>,
    lifecycle: Lifecycle,
    running: Option<Running>,
    check: Option<Check>,
    /// What the last check said, if it failed.
    complaint: Option<String>,
    /// Why it was ended by us.
    ended_for: Option<String>,
    stopping: bool,
}

enum Happened {
    Event(Event),
    Checked(Result<(), String>),
    Ended(String),
}

impl Driver {
    pub(crate) fn new(index: usize, process: Prepared, shared: Arc<Shared>) -> Self {
        let lifecycle = Lifecycle::new((&process.spec).into());
        Self {
            index,
            process,
            shared,
            lifecycle,
            running: None,
            check: None,
            complaint: None,
            ended_for: None,
            stopping: false,
        }
    }

    /// Runs the process until `shutdown` and all that need it are stopped.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        while self.lifecycle.state() != ProcessState::Stopped {
            self.plan_check();
            match self.next(&shutdown).await {
                Happened::Event(event) => self.on(event).await,
                Happened::Checked(result) => self.checked(result),
                Happened::Ended(reason) => self.ended(reason).await,
            }
        }
        self.tell(&ProcessEvent::Stopped { id: self.process.spec.id.clone() });
        self.shared.board.set(self.index, ProcessState::Stopped, |entry| entry.pid = None);
    }

    fn plan_check(&mut self) {
        match self.lifecycle.check_at() {
            Some(at) if self.check.is_none() => {
                let (port, health) = (self.process.port, self.process.health.clone());
                let limit = self.process.spec.health_timeout;
                self.check = Some(Box::pin(async move {
                    sleep_until(at.into()).await;
                    probe::check(port, &health, limit).await
                }));
            }
            Some(_) => {}
            None => self.check = None,
        }
    }

    async fn next(&mut self, shutdown: &Shutdown) -> Happened {
        let (board, index) = (&self.shared.board, self.index);
        let waiting = self.lifecycle.state() == ProcessState::Waiting;
        let alive = self.running.is_some();
        let stop = async {
            shutdown.triggered().await;
            // Those that need this one may still ask it for something while they end.
            if alive {
                board.dependents_stopped(index).await;
            }
        };
        let timer = self.lifecycle.wake_at().map(|at| sleep_until(at.into()));
        tokio::select! {
            biased;
            reason = or_never(self.running.as_mut().map(Running::ended)) => Happened::Ended(reason),
            () = stop, if !self.stopping => {
                self.stopping = true;
                Happened::Event(Event::Stop)
            }
            result = or_never(self.check.as_mut()) => {
                self.check = None;
                Happened::Checked(result)
            }
            () = or_never(timer) => Happened::Event(Event::Timer),
            () = board.needs_ready(index), if waiting => Happened::Event(Event::NeedsReady),
        }
    }

    async fn on(&mut self, event: Event) {
        let starting = self.lifecycle.state() == ProcessState::Starting;
        match self.lifecycle.on(event, Instant::now()) {
            Some(Action::Start) => self.start().await,
            Some(Action::Terminate) => {
                if starting && event == Event::Timer {
                    self.give_up_start();
                }
                self.shared.board.set(self.index, ProcessState::Stopping, |_| {});
                self.signal(Signal::TERM);
            }
            Some(Action::Kill) => self.signal(Signal::KILL),
            Some(Action::Abandon) => {
                error!(process = %self.process.spec.id, "it does not end even on SIGKILL and is left behind");
                self.running = None;
            }
            None => {}
        }
    }

    async fn start(&mut self) {
        self.complaint = None;
        match self.spawn().await {
            Ok(running) => {
                let (port, restarts) = (self.process.port, self.lifecycle.restarts());
                let pid = running.group.as_raw_nonzero().get().unsigned_abs();
                self.running = Some(running);
                self.tell(&ProcessEvent::Started { id: self.process.spec.id.clone(), pid, port });
                self.shared.board.set(self.index, ProcessState::Starting, |entry| {
                    (entry.pid, entry.port, entry.restarts) = (Some(pid), port, restarts);
                });
            }
            Err(reason) => {
                self.exited(&reason);
                self.first_start_failed(&reason);
            }
        }
    }

    async fn spawn(&mut self) -> Result<Running, String> {
        let shared = &self.shared;
        self.process.renew_port(&shared.ports).map_err(|error| format!("no port for it: {error}"))?;
        let cannot = |error| format!("cannot be started: {error}");
        let (launcher, files) = (&shared.options.launcher, shared.options.open_files);
        let command = self.process.command(launcher, files).map_err(cannot)?;
        let child = shared.spawner.spawn(command).await.map_err(cannot)?;
        let sink = Sink {
            index: self.index,
            fixed: self.shared.board.fixed.clone(),
            observer: self.shared.observer.clone(),
            max_line_bytes: self.shared.options.max_line_bytes,
        };
        Running::new(child, &sink).ok_or_else(|| "ended at once".into())
    }

    fn checked(&mut self, result: Result<(), String>) {
        let before = self.lifecycle.state();
        let event = if result.is_ok() { Event::Healthy } else { Event::Unhealthy };
        self.lifecycle.on(event, Instant::now());
        self.complaint = result.err();
        let (id, after) = (self.process.spec.id.clone(), self.lifecycle.state());
        if after == before {
            return;
        }
        if after == ProcessState::Ready {
            self.tell(&ProcessEvent::Ready { id, port: self.process.port });
        } else {
            self.tell(&ProcessEvent::Unready { id, reason: self.complaint.clone().unwrap_or_default() });
        }
        self.shared.board.set(self.index, after, |_| {});
    }

    fn give_up_start(&mut self) {
        let limit = HumanDuration(self.process.spec.start_timeout);
        let complaint = self.complaint.as_deref().unwrap_or("its health path has not answered yet");
        let reason = format!("not ready within {limit}: {complaint}");
        self.first_start_failed(&reason);
        self.ended_for = Some(reason);
    }

    async fn ended(&mut self, reason: String) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        self.check = None;
        let reason = match self.ended_for.take() {
            Some(why) => format!("{why}; then {reason}"),
            None => reason,
        };
        if let Some(grace_ends) = self.lifecycle.grace_ends() {
            // What it has started was asked to stop as well, and has the same grace.
            running.drained(grace_ends).await;
        }
        running.signal(Signal::KILL);
        self.shared.guard.remove(running.group);
        self.exited(&reason);
        // Said only now, so that whoever is told of the failure finds its last words.
        running.drained(Instant::now() + LAST_WORDS).await;
        self.first_start_failed(&reason);
    }

    fn exited(&mut self, reason: &str) {
        let now = Instant::now();
        self.lifecycle.on(Event::Exited { random: fastrand::f64() }, now);
        let restart_at = self.lifecycle.wake_at();
        if let Some(at) = restart_at {
            let (id, reason) = (self.process.spec.id.clone(), reason.to_owned());
            self.tell(&ProcessEvent::Exited { id, reason, restart_in: at.saturating_duration_since(now) });
        }
        let state = if restart_at.is_some() { ProcessState::Backoff } else { ProcessState::Stopping };
        self.shared.board.set(self.index, state, |entry| {
            (entry.pid, entry.last_exit) = (None, Some(reason.to_owned()));
        });
    }

    fn first_start_failed(&self, reason: &str) {
        self.shared.board.failed(self.index, reason);
    }

    fn signal(&self, signal: Signal) {
        if let Some(running) = &self.running {
            running.signal(signal);
        }
    }

    fn tell(&self, event: &ProcessEvent) {
        self.shared.observer.event(event);
    }
}

async fn or_never<T>(future: Option<impl Future<Output = T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
