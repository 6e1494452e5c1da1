//! The part of the registry that acts by itself: it ends leases, asks checks, and writes down what it is told.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};
use tracing::{info, warn};
use trellis_core::{Error as CoreError, codes};
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::{Dialect, Feed, Store, members};

use crate::error::Core;
use crate::handle::Handle;
use crate::joint::Joint;
use crate::options::Options;
use crate::orders::Request;
use crate::prober::{NetProber, Prober};
use crate::registration::{MAX_LEASE, MIN_LEASE};
use crate::runner;
use crate::shared::{Shared, now};
use crate::state::{Expiry, State};
use crate::{follow, rows, table, writer};

/// So many orders may be waiting for a write; more wait to get in line.
const ORDERS: usize = 1024;
/// How often instances are looked for whose checks have been critical for too long.
const REAP: Duration = Duration::from_secs(30);

/// The registry. Make it, hand its handle around, and run it.
pub struct Service {
    shared: Arc<Shared>,
    store: Store,
    requests: mpsc::Receiver<Request>,
    prober: Arc<dyn Prober>,
    /// Where other members share the store: who they are, and what they change.
    others: Option<(members::Handle, Feed)>,
}

impl Service {
    /// Brings the registry's tables up to date and takes over what was registered and said in earlier runs: leases
    /// begin anew, and statuses are what they were last. Nothing expires, and nothing can be registered durably, until
    /// it [runs](Self::run).
    ///
    /// `members`: this process among those that share the store. On PostgreSQL they are one registry: each reads from its
    /// own memory, follows what the others write, and looks after its share. On SQLite there is one, and no more is asked
    /// of it.
    pub async fn new(
        options: Options,
        store: Store,
        clock: WallClock,
        members: members::Handle,
    ) -> Core<(Self, Handle)> {
        Self::with_prober(options, store, clock, members, Arc::new(NetProber::default())).await
    }

    /// The same, with somebody else to ask active checks.
    pub async fn with_prober(
        options: Options,
        store: Store,
        clock: WallClock,
        members: members::Handle,
        prober: Arc<dyn Prober>,
    ) -> Core<(Self, Handle)> {
        if !(MIN_LEASE..=MAX_LEASE).contains(&options.lease) {
            let text = "[registry] lease must be between 100ms and 24h, such as 15s";
            return Err(CoreError::new(codes::INVALID_MANIFEST, text));
        }
        table::prepare(&store).await?;
        let index = table::first_index(&store, clock.unix_millis()).await?;
        let is_shared = store.dialect() == Dialect::Postgres;
        if is_shared {
            table::name_nodes(&store, &options.node.name).await?;
        }
        // What changes while it is read is seen twice, never missed.
        let feed = if is_shared { Some(store.feed(store.head().await?).await?) } else { None };
        let overrides = table::overrides(&store, &options.node.name).await?;
        let mut state = State::new(&options, overrides, index, now(&clock));
        if is_shared {
            state.share(members.node_id());
            if let Some(saved) = state.save_node(&options.node.name) {
                rows::put_own_node(&store, &saved, members.node_id()).await?;
            }
        } else {
            table::load(&store, &mut state, || now(&clock)).await?;
        }
        let shared = Arc::new(Shared::new(options, clock, state));
        if is_shared {
            follow::everything(&shared, &store).await?;
        }
        let (sender, requests) = mpsc::channel(ORDERS);
        let handle = Handle::new(shared.clone(), sender, members.clone());
        let others = feed.map(|feed| (members, feed));
        Ok((Self { shared, store, requests, prober, others }, handle))
    }

    /// Runs until the shutdown: ends leases, asks checks, writes down. What is being written is finished.
    pub async fn run(self, shutdown: Shutdown) -> Core<()> {
        let Self { shared, store, requests, prober, others } = self;
        let close = async {
            shutdown.triggered().await;
            shared.close();
        };
        tokio::join!(close, runner::run(&shared, &prober, &shutdown), async {
            if let Some((members, feed)) = others {
                let joint = Joint::new(shared.clone(), store.clone(), members, feed, requests);
                return joint.run(&shutdown).await;
            }
            tokio::join!(
                reap(&shared, &shutdown),
                doom(&shared, &shutdown),
                writer::run(&shared, &store, requests, &shutdown),
            );
        },);
        Ok(())
    }
}

/// Removes instances whose checks have been critical for too long.
async fn doom(shared: &Shared, shutdown: &Shutdown) {
    let work = async {
        loop {
            sleep(REAP).await;
            let keys = shared.read(|state| state.doomed(shared.now().instant));
            for key in keys {
                let step = shared.step(|state, now| {
                    let changed = state.deregister(&key, crate::state::Asker::Outside, now)?;
                    state.put_dirty(vec![crate::state::Dirty::Instance(key.clone())]);
                    Ok(((), changed))
                });
                match step {
                    Ok(()) => info!(instance = %key, "a check was critical for too long; removed"),
                    Err(error) => warn!(instance = %key, %error, "critical for too long, but not removed"),
                }
            }
        }
    };
    tokio::select! {
        () = shutdown.triggered() => {}
        () = work => {}
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
            let found = shared.expire();
            tell(&found);
            sleep(found.pause(&shared.options)).await;
        }
    };
    tokio::select! {
        () = shutdown.triggered() => {}
        () = work => {}
    }
}

/// One line for each kind of news, however many instances went at once.
pub(crate) fn tell(found: &Expiry) {
    if let Some((service, id)) = found.expired.first() {
        let count = found.expired.len();
        warn!(count, first = %id, %service, "leases ended without a renewal; the instances are DOWN");
    }
    if found.protected > 0
        && let Some((service, id)) = found.held.last()
    {
        let count = found.protected;
        warn!(count, last = %id, %service, "so many leases ended at once that they are not believed for now");
    }
    if let Some((service, id)) = found.removed.first() {
        info!(count = found.removed.len(), first = %id, %service, "expired instances were removed");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance, timeout};

    use super::*;
    use crate::model::check::{CheckDefinition, CheckKind, CheckStatus};
    use crate::model::names::{CheckKey, CheckOwner, InstanceKey, Name, Namespace};
    use crate::model::topic::Topic;
    use crate::registration::{Lease, Registration};
    use crate::state::Overrides;

    const LEASE: Duration = Duration::from_secs(10);

    fn shared() -> Shared {
        let (options, clock) = (Options::default(), WallClock::fixed(0));
        let state = State::new(&options, Overrides::default(), 0, now(&clock));
        Shared::new(options, clock, state)
    }

    fn key(id: &str) -> InstanceKey {
        let node = Options::default().node.name;
        InstanceKey { namespace: Namespace::default(), node, id: id.parse().unwrap() }
    }

    fn register(shared: &Shared, id: &str, lease: Duration) {
        let service: Name = "a".parse().unwrap();
        let registration = Registration {
            lease: Lease::For(lease),
            ..Registration::new(id.parse().unwrap(), service, "h", 1)
        };
        shared.step(|state, now| Ok(((), state.register(&registration, false, now)?))).unwrap();
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
    async fn a_ttl_that_was_renewed_a_moment_ago_ends_when_it_ends() {
        let shared = shared();
        let (ttl, owner) = (LEASE / 100, CheckOwner::Instance(key("a-1")));
        let check = CheckKey { owner: owner.clone(), id: "ttl".into() };
        let say = || {
            let report =
                |state: &mut State, now| Ok(((), state.report_check(&check, CheckStatus::Passing, "", now)?));
            shared.step(report).unwrap();
        };
        with_reaper(&shared, async {
            register(&shared, "a-1", LEASE * 100);
            let definition = CheckDefinition::new("ttl", CheckKind::Ttl(ttl));
            shared.step(|state, now| Ok(((), state.put_check(&owner, definition, now)?))).unwrap();
            say();
            tokio::time::sleep(ttl / 50).await;
            say();
            let (start, mut news) = (Instant::now(), shared.subscribe(&Topic::All).unwrap());
            news.borrow_and_update();
            news.changed().await.unwrap();
            assert_eq!(shared.read(|state| state.check(&check)).unwrap().status, CheckStatus::Critical);
            // A breath after the pass that found it renewed, and the clock's grain.
            let late = Duration::from_millis(6);
            assert!((ttl..=ttl + late).contains(&start.elapsed()), "{:?}", start.elapsed());
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_renews_in_time_stays_and_what_does_not_is_removed_in_the_end() {
        let shared = shared();
        let removed = |id: &str| shared.read(|state| state.record(&key(id)).is_none());
        with_reaper(&shared, async {
            register(&shared, "a-1", LEASE);
            register(&shared, "a-2", LEASE);
            for _ in 0..20 {
                advance(LEASE / 2).await;
                shared.step(|state, now| Ok(((), state.renew(&key("a-1"), now)?))).unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(!removed("a-1") && removed("a-2"));
        })
        .await;
    }
}
