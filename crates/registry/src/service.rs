//! The part of the registry that acts by itself: it ends leases and writes down what operators say.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, sleep_until};
use tracing::{info, warn};
use trellis_core::{Error as CoreError, Status, codes};
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::Store;

use crate::error::{Core, Error, Result};
use crate::handle::Handle;
use crate::options::Options;
use crate::override_store;
use crate::registration::{MAX_LEASE, MIN_LEASE};
use crate::shared::Shared;
use crate::state::{Changed, Expiry, Override, State};
use crate::view::Target;

/// So many operators may be waiting for a write; more wait to get in line.
const WORDS: usize = 64;

/// What an operator says, and where the answer goes.
pub(crate) struct Word {
    pub(crate) target: Target,
    pub(crate) status: Option<Status>,
    pub(crate) done: oneshot::Sender<Result<()>>,
}

/// The registry. Make it, hand its handle around, and run it.
pub struct Service {
    shared: Arc<Shared>,
    store: Store,
    words: mpsc::Receiver<Word>,
}

impl Service {
    /// Brings the registry's tables up to date and takes over the overrides of earlier runs. Nothing expires, and no
    /// override can be set, until it [runs](Self::run).
    pub async fn new(options: Options, store: Store, clock: WallClock) -> Core<(Self, Handle)> {
        if !(MIN_LEASE..=MAX_LEASE).contains(&options.lease) {
            let text = "[registry] lease must be between 100ms and 24h, such as 15s";
            return Err(CoreError::new(codes::INVALID_MANIFEST, text));
        }
        let overrides = override_store::load(&store).await?;
        let shared = Arc::new(Shared::new(options, clock, overrides));
        let (sender, words) = mpsc::channel(WORDS);
        let handle = Handle::new(shared.clone(), sender);
        Ok((Self { shared, store, words }, handle))
    }

    /// Runs until the shutdown: ends leases, writes overrides down. An override that is being written is finished.
    pub async fn run(self, shutdown: Shutdown) -> Core<()> {
        let Self { shared, store, words } = self;
        let close = async {
            shutdown.triggered().await;
            shared.closing.trigger();
        };
        tokio::join!(close, reap(&shared, &shutdown), listen(&shared, &store, words, &shutdown));
        Ok(())
    }
}

/// Sleeps until the next lease ends. Renewals only move that further away, so it wakes far less often than they come.
async fn reap(shared: &Shared, shutdown: &Shutdown) {
    let work = async {
        loop {
            let Some(deadline) = shared.read(State::next_deadline) else {
                shared.earlier.notified().await;
                continue;
            };
            tokio::select! {
                () = sleep_until(deadline) => {}
                () = shared.earlier.notified() => continue,
            }
            tell(&shared.expire());
            // What falls due in the meantime is handled in one pass.
            sleep(shared.options.reap_interval).await;
        }
    };
    tokio::select! {
        () = shutdown.triggered() => {}
        () = work => {}
    }
}

/// One line for each kind of news, however many instances went at once.
fn tell(found: &Expiry) {
    if let Some((service, id)) = found.expired.first() {
        let count = found.expired.len();
        warn!(count, first = %id, %service, "leases ended without a renewal; the instances are DOWN");
    }
    if let Some((service, id)) = found.removed.first() {
        info!(count = found.removed.len(), first = %id, %service, "expired instances were removed");
    }
}

/// One override after the other, so that the disk and the memory see them in the same order. Done here and not in the
/// caller, who may go away between the two.
async fn listen(shared: &Shared, store: &Store, mut words: mpsc::Receiver<Word>, shutdown: &Shutdown) {
    loop {
        let word = tokio::select! {
            biased;
            () = shutdown.triggered() => return,
            word = words.recv() => word,
        };
        let Some(Word { target, status, done }) = word else { return shutdown.triggered().await };
        let result = apply(shared, store, target, status).await;
        // Whoever asked may have gone; the override holds all the same.
        let _gone = done.send(result);
    }
}

async fn apply(shared: &Shared, store: &Store, target: Target, status: Option<Status>) -> Result<()> {
    let (current, count, registered) = shared.read(|state| {
        let overrides = state.overrides();
        (overrides.get(&target), overrides.len(), state.is_registered(&target))
    });
    if status.is_some() && current.is_none() {
        if !registered {
            return Err(match target {
                Target::Instance(id) => Error::UnknownInstance(id),
                Target::Service(name) => Error::UnknownService(crate::ServiceKey::of(name)),
            });
        }
        if count >= shared.options.max_overrides {
            return Err(Error::TooManyOverrides(count));
        }
    }
    let new = |status| Override { status, since_unix_ms: shared.clock.unix_millis() };
    let said = status.map(|status| current.filter(|old| old.status == status).unwrap_or(new(status)));
    // Also when it says what memory has: a write that failed before may have reached the disk all the same.
    override_store::save(store, &target, said).await.map_err(Error::Store)?;
    let shown = status.map_or("none", Status::as_str);
    info!(%target, status = shown, "an operator's override was set or cleared");
    shared.step(|state, now| -> Result<((), Changed)> { Ok(((), state.set_override(target, said, now))) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance, timeout};

    use super::*;
    use crate::registration::{Lease, Registration};
    use crate::state::Overrides;

    const LEASE: Duration = Duration::from_secs(10);

    fn shared() -> Shared {
        Shared::new(Options::default(), WallClock::fixed(0), Overrides::default())
    }

    fn register(shared: &Shared, id: &str, lease: Duration) {
        let service: trellis_core::ServiceName = "a".parse().unwrap();
        let registration = Registration {
            lease: Lease::For(lease),
            ..Registration::new(id.parse().unwrap(), service, "h", 1)
        };
        shared.step(|state, now| Ok(((), state.register(registration, now)?))).unwrap();
    }

    /// Runs the reaper beside `story` until that ends.
    async fn with_reaper(shared: &Shared, story: impl Future<Output = ()>) {
        let shutdown = Shutdown::new();
        let story = async {
            // On the paused clock: a reaper that sleeps through everything fails the test instead of hanging it.
            let ended = timeout(LEASE * 1000, story).await;
            shutdown.trigger();
            assert!(ended.is_ok(), "the reaper did not wake");
        };
        tokio::join!(reap(shared, &shutdown), story);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_when_it_ends_and_watchers_hear_of_it() {
        let shared = shared();
        let mut watch = shared.watch(&"a".parse().unwrap()).unwrap();
        with_reaper(&shared, async {
            register(&shared, "a-1", LEASE * 100);
            // Shorter than what the reaper sleeps for by now.
            tokio::task::yield_now().await;
            register(&shared, "a-2", LEASE);
            let start = Instant::now();
            let is_one = |set: &Arc<trellis_core::EndpointSet>| set.endpoints.len() == 1;
            assert_eq!(watch.borrow_and_update().endpoints.len(), 2);
            watch.wait_for(is_one).await.unwrap();
            // The clock's grain is a millisecond.
            assert!((LEASE..=LEASE + Duration::from_millis(1)).contains(&start.elapsed()));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_renews_in_time_stays_and_what_does_not_is_removed_in_the_end() {
        let shared = shared();
        let removed = |id: &str| shared.read(|state| state.row(&id.parse().unwrap()).is_none());
        with_reaper(&shared, async {
            register(&shared, "a-1", LEASE);
            register(&shared, "a-2", LEASE);
            for _ in 0..20 {
                advance(LEASE / 2).await;
                shared.step(|state, now| Ok(((), state.renew(&"a-1".parse().unwrap(), now)?))).unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(!removed("a-1") && removed("a-2"));
        })
        .await;
    }
}
