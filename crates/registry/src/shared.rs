//! What the service and its handles share: the state and the watches behind one lock, and the signals between them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use trellis_core::{EndpointSet, EndpointWatch, ServiceName};
use trellis_runtime::{Shutdown, WallClock};

use crate::error::Result;
use crate::options::Options;
use crate::state::{Changed, Expiry, Now, Overrides, State};
use crate::watches::Watches;

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) clock: WallClock,
    /// Free places for requests that wait for a change.
    pub(crate) waiters: Semaphore,
    /// Given when the registry stops, so that nobody waits for it any longer.
    pub(crate) closing: Shutdown,
    /// A lease ends before the one the reaper sleeps for.
    pub(crate) earlier: Notify,
    /// The services that have instances, as of the last time that one of them came into traffic or went out of it.
    pub(crate) names: watch::Sender<Arc<BTreeSet<ServiceName>>>,
    guarded: Mutex<Guarded>,
}

struct Guarded {
    state: State,
    watches: Watches,
}

impl Shared {
    pub(crate) fn new(options: Options, clock: WallClock, overrides: Overrides) -> Self {
        // A revision must not mean another set after a restart: counting starts above what any earlier run reached,
        // which made fewer than a thousand changes in a millisecond. Stays below 2^53, so JavaScript can hold it.
        let revision = u64::try_from(clock.unix_millis()).unwrap_or_default().saturating_mul(1000);
        let state = State::new(&options, overrides, revision);
        Self {
            waiters: Semaphore::new(options.max_waiters.min(Semaphore::MAX_PERMITS)),
            closing: Shutdown::new(),
            earlier: Notify::new(),
            names: watch::Sender::default(),
            guarded: Mutex::new(Guarded { state, watches: Watches::default() }),
            options,
            clock,
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now { instant: Instant::now(), unix_ms: self.clock.unix_millis() }
    }

    /// Takes one step and tells the watchers of the services it changed, in the same order for everyone.
    pub(crate) fn step<T>(&self, step: impl FnOnce(&mut State, Now) -> Result<(T, Changed)>) -> Result<T> {
        let now = self.now();
        let mut guarded = self.lock();
        let Guarded { state, watches } = &mut *guarded;
        let before = state.next_deadline();
        let (value, changed) = step(state, now)?;
        watches.publish(&changed, state);
        self.tell_names(&changed, state);
        let is_earlier =
            state.next_deadline().is_some_and(|after| before.is_none_or(|before| after < before));
        drop(guarded);
        if is_earlier {
            self.earlier.notify_one();
        }
        Ok(value)
    }

    /// Looks at the state. Copy out what is needed and return: everyone else waits.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.lock().state)
    }

    pub(crate) fn endpoints(&self, service: &ServiceName) -> Arc<EndpointSet> {
        self.lock().state.endpoints(service)
    }

    pub(crate) fn watch(&self, service: &ServiceName) -> Result<EndpointWatch> {
        let mut guarded = self.lock();
        let Guarded { state, watches } = &mut *guarded;
        watches.watch(service, state)
    }

    pub(crate) fn expire(&self) -> Expiry {
        let now = self.now();
        let mut guarded = self.lock();
        let Guarded { state, watches } = &mut *guarded;
        let found = state.expire(now);
        watches.publish(&found.changed, state);
        self.tell_names(&found.changed, state);
        found
    }

    /// Tells who follows the names, if one of `changed` is new or gone.
    fn tell_names(&self, changed: &Changed, state: &State) {
        let is_news =
            |names: &BTreeSet<_>| changed.iter().any(|name| names.contains(name) != state.has(name));
        self.names.send_if_modified(|names| {
            let news = is_news(names);
            if news {
                *names = Arc::new(state.names().cloned().collect());
            }
            news
        });
    }

    /// A panic in another thread left no half step: every step is complete before anything in it can fail.
    fn lock(&self) -> MutexGuard<'_, Guarded> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
