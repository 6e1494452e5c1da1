//! What the service and its handles share: the state and the watches behind one lock, and the signals between them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use trellis_core::{EndpointSet, EndpointWatch, ServiceName};
use trellis_net::Answers;
use trellis_runtime::{Shutdown, WallClock};

use crate::broadcast::{Broadcast, Follower, Sleepers};
use crate::error::{Error, Result};
use crate::handle::Mark;
use crate::model::names::ServiceKey;
use crate::model::topic::Topic;
use crate::options::Options;
use crate::state::{Changed, Expiry, Now, State};
use crate::stats::Counters;
use crate::topics::Topics;
use crate::watches::Watches;

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) clock: WallClock,
    /// Free places for requests that wait for a change.
    pub(crate) waiters: Arc<Semaphore>,
    /// Given when the registry stops, so that nobody waits for it any longer.
    pub(crate) closing: Shutdown,
    /// A lease ends before the one the reaper sleeps for.
    pub(crate) earlier: Notify,
    /// A check is due before the one its runner sleeps for.
    pub(crate) probe_earlier: Notify,
    /// The services that have instances, as of the last time that one of them came into traffic or went out of it.
    pub(crate) names: watch::Sender<Arc<BTreeSet<ServiceName>>>,
    pub(crate) counters: Counters,
    pub(crate) cache: Answers<Topic>,
    /// Tells this run from others, and from those of other members.
    pub(crate) run: u64,
    guarded: Mutex<Guarded>,
}

struct Guarded {
    state: State,
    watches: Watches,
    topics: Topics,
}

impl Shared {
    pub(crate) fn new(options: Options, clock: WallClock, state: State) -> Self {
        let names = state.names().filter_map(|key| key.name.to_service_name()).collect();
        Self {
            waiters: Arc::new(Semaphore::new(options.max_waiters.min(Semaphore::MAX_PERMITS))),
            closing: Shutdown::new(),
            earlier: Notify::new(),
            probe_earlier: Notify::new(),
            names: watch::Sender::new(Arc::new(names)),
            counters: Counters::default(),
            cache: Answers::default(),
            run: fastrand::u64(..),
            guarded: Mutex::new(Guarded { state, watches: Watches::default(), topics: Topics::default() }),
            options,
            clock,
        }
    }

    pub(crate) fn now(&self) -> Now {
        now(&self.clock)
    }

    /// Takes one step and tells the watchers of what it changed, in the same order for everyone.
    pub(crate) fn step<T>(&self, step: impl FnOnce(&mut State, Now) -> Result<(T, Changed)>) -> Result<T> {
        let mut value = None;
        self.steps(|state, now, tell| {
            let (made, changed) = step(state, now)?;
            tell(state, changed);
            value = Some(made);
            Ok(())
        })?;
        // `steps` ran the closure to its end, or returned its error.
        value.ok_or(Error::Stopping)
    }

    /// Takes several steps at one moment.
    pub(crate) fn steps<T>(
        &self,
        steps: impl FnOnce(&mut State, Now, &mut dyn FnMut(&mut State, Changed)) -> Result<T>,
    ) -> Result<T> {
        let now = self.now();
        let mut guarded = self.lock();
        let Guarded { state, watches, topics } = &mut *guarded;
        let before = (state.next_deadline(), state.next_probe());
        let mut wake = Vec::new();
        let value = steps(state, now, &mut |state, changed| {
            watches.publish(&changed, state, &mut wake);
            topics.publish(&changed);
            self.tell_names(&changed, state);
        });
        let after = (state.next_deadline(), state.next_probe());
        drop(guarded);
        self.wake(wake);
        if is_earlier(before.0, after.0) {
            self.earlier.notify_one();
        }
        if is_earlier(before.1, after.1) {
            self.probe_earlier.notify_one();
        }
        value
    }

    /// Looks at the state. Take out what is needed and return: everyone else waits.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.lock().state)
    }

    /// The same, for what is made when it is first asked for.
    pub(crate) fn make<T>(&self, make: impl FnOnce(&mut State) -> T) -> T {
        make(&mut self.lock().state)
    }

    pub(crate) fn endpoints(&self, service: &ServiceName) -> Arc<EndpointSet> {
        self.lock().state.endpoints(&ServiceKey::of(service))
    }

    pub(crate) fn watch(&self, service: &ServiceName) -> Result<EndpointWatch> {
        let mut guarded = self.lock();
        let Guarded { state, watches, .. } = &mut *guarded;
        watches.watch(&ServiceKey::of(service), state)
    }

    /// The same for one of many who pass it on.
    pub(crate) fn broadcast(&self, service: &ServiceName) -> Result<Arc<Broadcast>> {
        let mut guarded = self.lock();
        // Looked at under the lock, so that what begins now is ended by `close`.
        if self.closing.is_triggered() {
            return Err(Error::Stopping);
        }
        let Guarded { state, watches, .. } = &mut *guarded;
        watches.broadcast(&ServiceKey::of(service), state)
    }

    /// The same for several services, of which those are known that have not changed since `after`.
    pub(crate) fn follow(
        &self,
        services: Vec<ServiceName>,
        after: Option<Mark>,
        group: u64,
    ) -> Result<Vec<(ServiceName, Follower)>> {
        let mut guarded = self.lock();
        if self.closing.is_triggered() {
            return Err(Error::Stopping);
        }
        let Guarded { state, watches, .. } = &mut *guarded;
        let after = after.filter(|mark| mark.run == self.run && mark.index <= state.index());
        let follow = |service: ServiceName| {
            let key = ServiceKey::of(&service);
            let broadcast = watches.broadcast(&key, state)?;
            let known = after.and_then(|mark| state.endpoints_known(&key, mark.index));
            Ok((service, broadcast.follow(known, group)))
        };
        services.into_iter().map(follow).collect()
    }

    /// Nobody waits any longer.
    pub(crate) fn close(&self) {
        let guarded = self.lock();
        self.closing.trigger();
        let sleepers = guarded.watches.end();
        drop(guarded);
        self.wake(sleepers);
    }

    fn wake(&self, sleepers: Vec<Sleepers>) {
        for some in sleepers {
            self.counters.wakes.add(some.wake());
        }
    }

    pub(crate) fn subscribe(&self, topic: &Topic) -> Result<watch::Receiver<u64>> {
        let mut guarded = self.lock();
        let Guarded { state, topics, .. } = &mut *guarded;
        topics.subscribe(topic, state, self.options.max_topics)
    }

    pub(crate) fn expire(&self) -> Expiry {
        let mut found = Expiry::default();
        let taken = self.steps(|state, now, tell| {
            found = state.expire(now);
            tell(state, std::mem::take(&mut found.changed));
            Ok(())
        });
        debug_assert!(taken.is_ok(), "nothing in it fails");
        self.counters.expiries.add(found.expired.len() as u64);
        found
    }

    /// Tells who follows the names, if one of the changed services is new or gone.
    fn tell_names(&self, changed: &Changed, state: &State) {
        if !changed.names {
            return;
        }
        self.names.send_if_modified(|names| {
            let now: BTreeSet<_> = state.names().filter_map(|key| key.name.to_service_name()).collect();
            let news = **names != now;
            if news {
                *names = Arc::new(now);
            }
            news
        });
    }

    /// A panic in another thread left no half step: every step is complete before anything in it can fail.
    fn lock(&self) -> MutexGuard<'_, Guarded> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// This moment, and a throw of the dice.
pub(crate) fn now(clock: &WallClock) -> Now {
    Now { instant: Instant::now(), unix_ms: clock.unix_millis(), random: fastrand::f64() }
}

fn is_earlier(before: Option<Instant>, after: Option<Instant>) -> bool {
    after.is_some_and(|after| before.is_none_or(|before| after < before))
}
