//! Configurations to test.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use trellis_config::versioned::{Author, Change, Edit, Format, Keys, Space};
use trellis_config::{Handle, Options, Service};
use trellis_core::error::Result as CoreResult;
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::Store;
use trellis_storage::members::{self, Members};

/// How long a test waits for what must come.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// How long a node that died counts as one. Short, and long enough for a busy machine.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// An empty database.
pub(crate) struct Database {
    pub(crate) options: trellis_storage::Options,
    _held: trellis_testkit::Database,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::of(trellis_testkit::Database::sqlite().unwrap())
    }

    pub(crate) fn postgres() -> Self {
        Self::of(trellis_testkit::Database::postgres().unwrap())
    }

    fn of(held: trellis_testkit::Database) -> Self {
        Self { options: trellis_storage::Options::url(held.url()).unwrap(), _held: held }
    }

    pub(crate) async fn start(&self) -> Node {
        self.start_with(options()).await
    }

    pub(crate) async fn start_with(&self, options: Options) -> Node {
        Node::start(self.options.clone(), options).await
    }

    /// A node that keeps its database as long as it lives.
    pub(crate) async fn start_kept(self) -> Node {
        self.start_kept_with(options()).await
    }

    pub(crate) async fn start_kept_with(self, options: Options) -> Node {
        let mut node = self.start_with(options).await;
        node.kept = Some(self);
        node
    }
}

/// Options with a key for secrets and a name of their own.
pub(crate) fn options() -> Options {
    let key = "one:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    Options { keys: Keys::parse(key).unwrap(), ..Options::default() }
}

/// A configuration that runs.
pub(crate) struct Node {
    pub(crate) handle: Handle,
    pub(crate) store: Store,
    pub(crate) clock: WallClock,
    shutdown: Shutdown,
    task: JoinHandle<CoreResult<()>>,
    members: JoinHandle<()>,
    kept: Option<Database>,
}

impl Node {
    pub(crate) async fn start(database: trellis_storage::Options, options: Options) -> Self {
        let store = Store::open(database).await.unwrap();
        let clock = WallClock::fixed(1_000);
        let place = members::Options { ttl: LEASE, ..members::Options::new("test", "") };
        let (members, member) = Members::join(&store, place).await.unwrap();
        let (service, handle) =
            Service::new(options, store.clone(), clock.clone(), Some(member)).await.unwrap();
        let shutdown = Shutdown::new();
        let task = tokio::spawn(service.run(shutdown.clone()));
        let members = tokio::spawn(members.run(shutdown.clone()));
        Self { handle, store, clock, shutdown, task, members, kept: None }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        self.task.await.unwrap().unwrap();
        self.members.await.unwrap();
        self.store.close().await;
        drop(self.kept);
    }
}

pub(crate) fn space() -> Space {
    Space { app: "shop".parse().unwrap(), env: "dev".parse().unwrap() }
}

pub(crate) fn author() -> Author {
    Author { actor: "ada".into(), reason: "test".into() }
}

pub(crate) fn edit(path: &str, change: Change) -> Edit {
    Edit { address: space().key(path).unwrap(), change, cas: None }
}

pub(crate) fn set(path: &str, json: &str) -> Edit {
    let value = json.to_owned().into();
    edit(path, Change::Set { format: Format::Json, value, secret: None })
}

/// Asks again until it is so.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The same for a paused clock.
pub(crate) async fn until_yielding(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        tokio::task::yield_now().await;
    }
}
