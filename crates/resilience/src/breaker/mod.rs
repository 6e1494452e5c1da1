//! When to stop asking an instance that fails, and how to find out that it has recovered.
//!
//! Closed: requests pass; a run of failures, or too large a share of them, opens it. Open: requests are refused for a while. Half-open: a few probes
//! pass; enough successes close it, one failure opens it again.

#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use trellis_core::model::BreakerModel;

use crate::lock;
use window::Counts;
pub use window::Window;

/// When a [`Breaker`] opens and closes. Counts of 0 are taken as 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerOptions {
    /// Failures in a row that open it. With a `window`, whichever comes first; `u32::MAX` leaves it to the window.
    pub failures: u32,
    /// How long it refuses before it lets probes through.
    pub open_for: Duration,
    /// Probes at once while half-open.
    pub probes: u32,
    /// Probes that must succeed to close it.
    pub successes: u32,
    /// Opens it for a share of failures, too.
    pub window: Option<Window>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The instance works.
    Success,
    /// The instance does not work.
    Failure,
    /// Says nothing about the instance: the caller went away, say.
    Ignored,
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Requests pass.
    Closed,
    /// Requests are refused.
    Open,
    /// Probes pass.
    HalfOpen,
}

/// The request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the breaker is open")]
pub struct Open {
    /// When it is worth asking again.
    pub retry_after: Duration,
}

/// Leave to send one request; give it to [`Breaker::record`] with how it ended. Dropping it counts as
/// [`Outcome::Ignored`], so a probe that was given up never blocks the next one.
#[derive(Debug)]
#[must_use = "the breaker learns nothing until the outcome is recorded"]
pub struct Admission {
    period: u32,
    probe: Option<Probe>,
}

/// A circuit breaker for one instance. Admitting and recording a success while closed is one atomic load each;
/// with a window, recording is an exchange as well.
#[derive(Debug)]
pub struct Breaker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: BreakerOptions,
    /// Upper half: the period, a number that grows whenever the breaker opens or closes; outcomes of requests that
    /// were admitted in another period say nothing about this one. Lower half: failures in a row, or `TRIPPED`.
    /// It becomes and ceases to be `TRIPPED` only under the lock.
    word: AtomicU64,
    tripped: Mutex<Tripped>,
    counts: Option<Box<Counts>>,
}

/// What matters while the breaker is not closed.
#[derive(Debug, Default)]
struct Tripped {
    until: Option<Instant>,
    probes: u32,
    successes: u32,
}

/// Holds one of the half-open slots.
#[derive(Debug)]
struct Probe {
    breaker: Arc<Inner>,
    period: u32,
    settled: bool,
}

const TRIPPED: u32 = u32::MAX;

/// When every probe slot is taken the verdict is near, whatever `open_for` is.
const PROBE_WAIT: Duration = Duration::from_secs(1);

fn pack(period: u32, failures: u32) -> u64 {
    u64::from(period) << 32 | u64::from(failures)
}

fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

// === impl Breaker ===

impl Breaker {
    /// A closed breaker.
    pub fn new(options: BreakerOptions) -> Self {
        let options = BreakerOptions {
            failures: options.failures.clamp(1, TRIPPED - 1),
            probes: options.probes.max(1),
            successes: options.successes.max(1),
            ..options
        };
        let counts = options.window.map(|window| Box::new(Counts::new(window)));
        let (word, tripped) = (AtomicU64::new(0), Mutex::default());
        Self { inner: Arc::new(Inner { options, word, tripped, counts }) }
    }

    /// Asks for leave to send one request.
    pub fn admit(&self, now: Instant) -> Result<Admission, Open> {
        let (period, failures) = unpack(self.inner.word.load(Ordering::Acquire));
        if failures != TRIPPED {
            return Ok(Admission { period, probe: None });
        }
        let mut tripped = lock(&self.inner.tripped);
        let (period, failures) = unpack(self.inner.word.load(Ordering::Acquire));
        if failures != TRIPPED {
            return Ok(Admission { period, probe: None });
        }
        if let Some(retry_after) = tripped.wait(now) {
            return Err(Open { retry_after });
        }
        if tripped.probes >= self.inner.options.probes {
            return Err(Open { retry_after: self.inner.options.open_for.min(PROBE_WAIT) });
        }
        tripped.probes += 1;
        let probe = Probe { breaker: Arc::clone(&self.inner), period, settled: false };
        Ok(Admission { period, probe: Some(probe) })
    }

    /// Says how an admitted request ended.
    pub fn record(&self, admission: Admission, outcome: Outcome, now: Instant) {
        let Admission { period, probe } = admission;
        match (probe, outcome) {
            (Some(probe), _) => probe.settle(outcome, now),
            (None, Outcome::Success) => self.inner.count_success(period, now),
            (None, Outcome::Failure) => self.inner.count_failure(period, now),
            (None, Outcome::Ignored) => {}
        }
    }

    /// Something else than a request has found that the instance works: an open breaker lets probes through at once,
    /// whose outcome decides. It waits no longer than it must, and a check that is too kind opens no floodgate.
    pub fn reconsider(&self) {
        if unpack(self.inner.word.load(Ordering::Acquire)).1 == TRIPPED {
            lock(&self.inner.tripped).until = None;
        }
    }

    /// Where it stands. An open breaker whose time is over is half-open, even if nobody has asked it yet.
    pub fn state(&self, now: Instant) -> State {
        let is_tripped = || unpack(self.inner.word.load(Ordering::Acquire)).1 == TRIPPED;
        if !is_tripped() {
            return State::Closed;
        }
        let tripped = lock(&self.inner.tripped);
        match () {
            () if !is_tripped() => State::Closed,
            () if tripped.wait(now).is_some() => State::Open,
            () => State::HalfOpen,
        }
    }
}

// === impl Inner ===

impl Inner {
    fn count_success(&self, period: u32, now: Instant) {
        self.count(period, false, now);
        let failing = |word| {
            let (current, failures) = unpack(word);
            (current == period && failures != 0 && failures != TRIPPED).then(|| pack(period, 0))
        };
        // Most of the time there is nothing to reset: then this is a load and no store.
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, failing);
    }

    /// Counts an outcome of this period in the window. True if the window says that it should open.
    fn count(&self, period: u32, is_failure: bool, now: Instant) -> bool {
        let is_current = || {
            let (current, failures) = unpack(self.word.load(Ordering::Acquire));
            current == period && failures != TRIPPED
        };
        self.counts.as_ref().filter(|_| is_current()).is_some_and(|counts| {
            counts.count(is_failure, now);
            // A success never opens it, even if it is the request that makes them enough.
            is_failure && counts.is_over(now)
        })
    }

    fn count_failure(&self, period: u32, now: Instant) {
        let is_over = self.count(period, true, now);
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let (current, failures) = unpack(word);
            if current != period || failures == TRIPPED {
                return;
            }
            let last = is_over || failures + 1 >= self.options.failures;
            let mut tripped = last.then(|| lock(&self.tripped));
            let next = if last { pack(period.wrapping_add(1), TRIPPED) } else { pack(period, failures + 1) };
            // A success that comes in between has broken the run: then this fails, and the count starts over.
            match self.word.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    if let Some(tripped) = &mut tripped {
                        tripped.reopen(self.options.open_for, now);
                        self.counts.iter().for_each(|counts| counts.clear());
                    }
                    return;
                }
                Err(changed) => word = changed,
            }
        }
    }

    fn settle_probe(&self, period: u32, outcome: Outcome, now: Option<Instant>) {
        let mut tripped = lock(&self.tripped);
        if unpack(self.word.load(Ordering::Acquire)) != (period, TRIPPED) {
            return;
        }
        tripped.probes -= 1;
        match (outcome, now) {
            (Outcome::Success, _) => tripped.successes += 1,
            (Outcome::Failure, Some(now)) => {
                tripped.reopen(self.options.open_for, now);
                self.word.store(pack(period.wrapping_add(1), TRIPPED), Ordering::Release);
            }
            _ => {}
        }
        if tripped.successes >= self.options.successes {
            self.word.store(pack(period.wrapping_add(1), 0), Ordering::Release);
        }
    }
}

// === impl Tripped ===

impl Tripped {
    fn reopen(&mut self, open_for: Duration, now: Instant) {
        // A year is for ever here, and keeps clear of the clock's end.
        let open_for = open_for.min(Duration::from_hours(365 * 24));
        *self = Self { until: Some(now + open_for), probes: 0, successes: 0 };
    }

    /// How long it still refuses everything.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let wait = self.until?.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }
}

// === impl Probe ===

impl Probe {
    fn settle(mut self, outcome: Outcome, now: Instant) {
        self.settled = true;
        self.breaker.settle_probe(self.period, outcome, Some(now));
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if !self.settled {
            self.breaker.settle_probe(self.period, Outcome::Ignored, None);
        }
    }
}

// === impl BreakerOptions, State ===

impl Default for BreakerOptions {
    fn default() -> Self {
        Self::from(&BreakerModel::default())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        })
    }
}
