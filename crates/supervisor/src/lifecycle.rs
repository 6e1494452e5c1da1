//! What a process should do next: the states of one process and the times that matter to it. Pure: it is told what
//! happened and when, and answers what to do.

use std::time::{Duration, Instant};

use trellis_resilience::backoff::Backoff;

use crate::{ProcessSpec, ProcessState};

/// Failed checks in a row that make a ready process unready.
const MISSES: u32 = 3;
/// Pause between checks while starting: short at first, so that a quick start is seen at once.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// A health interval of nothing would keep a processor busy.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// How long SIGKILL may take. Only a process that hangs in the kernel outlives it.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// A time that does not come, for waits too long to add to a clock.
const NEVER: Duration = Duration::from_hours(100 * 365 * 24);

/// The times of one process.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) start_timeout: Duration,
    pub(crate) health_interval: Duration,
    pub(crate) grace: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) reset_after: Duration,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event {
    /// All that it needs is ready.
    NeedsReady,
    /// A check succeeded.
    Healthy,
    /// A check failed.
    Unhealthy,
    /// It ended, or could not be started. `random` is from 0 to 1.
    Exited { random: f64 },
    /// The time of [`Lifecycle::wake_at`] has come.
    Timer,
    /// It must stop for good.
    Stop,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start it.
    Start,
    /// Ask it to stop: SIGTERM.
    Terminate,
    /// Make it stop: SIGKILL.
    Kill,
    /// Leave it: even SIGKILL did not end it.
    Abandon,
}

/// The states of one process.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    policy: Policy,
    phase: Phase,
    /// Ends since it was last ready for long enough.
    attempt: u32,
    starts: u32,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Waiting,
    Starting {
        deadline: Instant,
        check_at: Instant,
        pause: Duration,
    },
    Ready {
        since: Instant,
        check_at: Instant,
        misses: u32,
    },
    Unready {
        check_at: Instant,
    },
    /// `next` is when patience ends: with SIGTERM, or once `killed` with SIGKILL. It stays stopped if `for_good`.
    Ending {
        next: Instant,
        killed: bool,
        for_good: bool,
    },
    Backoff {
        until: Instant,
    },
    Stopped,
}

impl Lifecycle {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, phase: Phase::Waiting, attempt: 0, starts: 0 }
    }

    pub(crate) fn state(&self) -> ProcessState {
        match self.phase {
            Phase::Waiting => ProcessState::Waiting,
            Phase::Starting { .. } => ProcessState::Starting,
            Phase::Ready { .. } => ProcessState::Ready,
            Phase::Unready { .. } => ProcessState::Unready,
            Phase::Ending { .. } => ProcessState::Stopping,
            Phase::Backoff { .. } => ProcessState::Backoff,
            Phase::Stopped => ProcessState::Stopped,
        }
    }

    /// Starts after the first.
    pub(crate) fn restarts(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    /// When to send [`Event::Timer`].
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Starting { deadline, .. } => Some(deadline),
            Phase::Ending { next, .. } => Some(next),
            Phase::Backoff { until } => Some(until),
            Phase::Waiting | Phase::Ready { .. } | Phase::Unready { .. } | Phase::Stopped => None,
        }
    }

    /// When to check its health.
    pub(crate) fn check_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Starting { check_at, .. }
            | Phase::Ready { check_at, .. }
            | Phase::Unready { check_at } => Some(check_at),
            Phase::Waiting | Phase::Ending { .. } | Phase::Backoff { .. } | Phase::Stopped => None,
        }
    }

    /// When the grace ends of a process that was asked to stop.
    pub(crate) fn grace_ends(&self) -> Option<Instant> {
        match self.phase {
            Phase::Ending { next, killed: false, .. } => Some(next),
            _ => None,
        }
    }

    /// Takes note of what happened at `now`, and says what to do. What does not fit the state changes nothing.
    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Option<Action> {
        match event {
            Event::NeedsReady if matches!(self.phase, Phase::Waiting) => Some(self.start(now)),
            Event::NeedsReady => None,
            Event::Healthy => {
                self.healthy(now);
                None
            }
            Event::Unhealthy => {
                self.unhealthy(now);
                None
            }
            Event::Exited { random } => {
                self.exited(now, random);
                None
            }
            Event::Timer => self.timer(now),
            Event::Stop => self.stop(now),
        }
    }

    fn start(&mut self, now: Instant) -> Action {
        self.starts = self.starts.saturating_add(1);
        let deadline = later(now, self.policy.start_timeout);
        self.phase = Phase::Starting { deadline, check_at: later(now, FIRST_PAUSE), pause: FIRST_PAUSE };
        Action::Start
    }

    fn healthy(&mut self, now: Instant) {
        let check_at = later(now, self.policy.health_interval.max(SHORTEST_INTERVAL));
        match self.phase {
            Phase::Starting { .. } | Phase::Unready { .. } => {
                self.phase = Phase::Ready { since: now, check_at, misses: 0 };
            }
            Phase::Ready { since, .. } => self.phase = Phase::Ready { since, check_at, misses: 0 },
            Phase::Waiting | Phase::Ending { .. } | Phase::Backoff { .. } | Phase::Stopped => {}
        }
    }

    fn unhealthy(&mut self, now: Instant) {
        let check_at = later(now, self.policy.health_interval.max(SHORTEST_INTERVAL));
        match self.phase {
            Phase::Starting { deadline, pause, .. } => {
                let pause = (pause * 3 / 2).min(LONGEST_PAUSE);
                self.phase = Phase::Starting { deadline, check_at: later(now, pause), pause };
            }
            Phase::Ready { since, misses, .. } if misses + 1 < MISSES => {
                self.phase = Phase::Ready { since, check_at, misses: misses + 1 };
            }
            Phase::Ready { .. } => {
                self.recovered(now);
                self.phase = Phase::Unready { check_at };
            }
            Phase::Unready { .. } => self.phase = Phase::Unready { check_at },
            Phase::Waiting | Phase::Ending { .. } | Phase::Backoff { .. } | Phase::Stopped => {}
        }
    }

    fn exited(&mut self, now: Instant, random: f64) {
        match self.phase {
            Phase::Starting { .. }
            | Phase::Ready { .. }
            | Phase::Unready { .. }
            | Phase::Ending { for_good: false, .. } => {
                self.recovered(now);
                let wait = self.policy.backoff.delay(self.attempt, random);
                self.attempt = self.attempt.saturating_add(1);
                self.phase = Phase::Backoff { until: later(now, wait) };
            }
            Phase::Ending { for_good: true, .. } => self.phase = Phase::Stopped,
            Phase::Waiting | Phase::Backoff { .. } | Phase::Stopped => {}
        }
    }

    /// Starts the back-off over if it leaves a readiness that was long enough.
    fn recovered(&mut self, now: Instant) {
        if let Phase::Ready { since, .. } = self.phase
            && now.saturating_duration_since(since) >= self.policy.reset_after
        {
            self.attempt = 0;
        }
    }

    fn timer(&mut self, now: Instant) -> Option<Action> {
        if self.wake_at().is_none_or(|at| now < at) {
            return None;
        }
        match self.phase {
            Phase::Starting { .. } => Some(self.end(now, false)),
            Phase::Backoff { .. } => Some(self.start(now)),
            Phase::Ending { killed: true, for_good: true, .. } => {
                self.phase = Phase::Stopped;
                Some(Action::Abandon)
            }
            // One that is to be started again cannot be while it is there, so it is killed until it is gone.
            Phase::Ending { for_good, .. } => {
                self.phase = Phase::Ending { next: later(now, KILL_WAIT), killed: true, for_good };
                Some(Action::Kill)
            }
            Phase::Waiting | Phase::Ready { .. } | Phase::Unready { .. } | Phase::Stopped => None,
        }
    }

    fn stop(&mut self, now: Instant) -> Option<Action> {
        match self.phase {
            Phase::Waiting | Phase::Backoff { .. } => {
                self.phase = Phase::Stopped;
                None
            }
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unready { .. } => Some(self.end(now, true)),
            Phase::Ending { next, killed, .. } => {
                self.phase = Phase::Ending { next, killed, for_good: true };
                None
            }
            Phase::Stopped => None,
        }
    }

    fn end(&mut self, now: Instant, for_good: bool) -> Action {
        self.phase = Phase::Ending { next: later(now, self.policy.grace), killed: false, for_good };
        Action::Terminate
    }
}

fn later(now: Instant, wait: Duration) -> Instant {
    now + wait.min(NEVER)
}

impl From<&ProcessSpec> for Policy {
    fn from(spec: &ProcessSpec) -> Self {
        let restart = &spec.restart;
        Self {
            start_timeout: spec.start_timeout,
            health_interval: spec.health_interval,
            grace: spec.grace,
            backoff: Backoff { initial: restart.backoff.into(), max: restart.max_backoff.into() },
            reset_after: restart.reset_after.into(),
        }
    }
}

#[cfg(test)]
mod tests;
