use std::time::Duration;

use tokio::task::JoinHandle;
use trellis_core::{Error as CoreError, Retry};
use trellis_runtime::Shutdown;
use trellis_storage::members::{Handle, Members, Options};
use trellis_storage::{Error, Store, params};

use crate::support::{Database, LIMIT, ids, work};

/// A member that runs.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(store: &Store, name: &str, ttl: Duration) -> Self {
        let options = Options { ttl, ..Options::new(name, "127.0.0.1:7700") };
        let (members, handle) = Members::join(store, options).await.unwrap();
        let shutdown = Shutdown::new();
        let task = tokio::spawn(members.run(shutdown.clone()));
        Self { handle, shutdown, task }
    }

    /// Leaves in order.
    pub(crate) async fn leave(self) {
        self.shutdown.trigger();
        self.task.await.unwrap();
        assert!(!self.handle.is_live() && !self.handle.is_mine("a"));
        tokio::time::timeout(LIMIT, self.handle.lost()).await.expect("it knows that it left");
    }

    /// Waits until it sees so many members.
    pub(crate) async fn sees(&self, count: usize) {
        let mut live = self.handle.live();
        let seen = live.wait_for(|members| members.len() == count);
        tokio::time::timeout(LIMIT, seen).await.expect("it sees them").unwrap();
    }

    pub(crate) fn id(&self) -> String {
        self.handle.node_id().to_string()
    }
}

/// Inserts a row if the node is still live under this epoch.
pub(crate) async fn fenced(store: &Store, node: String, epoch: u64, id: i64) -> Result<u64, Error> {
    store
        .write_ordered(work(move |tx| {
            Box::pin(async move {
                tx.require_live(&node, epoch).await?;
                tx.execute("INSERT INTO t (id, n) VALUES ($1, 0)", params![id]).await
            })
        }))
        .await
}

pub(super) async fn a_member_is_there_until_it_leaves(db: Database) {
    let store = db.store_with_table().await;
    let member = Running::start(&store, "one", Duration::from_secs(6)).await;
    let live = member.handle.live().borrow().clone();
    assert_eq!(live.len(), 1);
    assert_eq!((&*live[0].node_id, &*live[0].name), (&*member.id(), "one"));
    assert_eq!(&*live[0].address, "127.0.0.1:7700");
    assert!(live[0].started_unix_ms > 1_700_000_000_000);
    assert!(member.handle.is_live() && member.handle.is_mine("anything"));
    assert_eq!(member.handle.owner_of("anything").as_ref(), Some(member.handle.node_id()));
    let epoch = member.handle.claim("anything").unwrap();
    assert_eq!(epoch, member.handle.epoch());
    member.leave().await;
    let rows: i64 = store.fetch_one("SELECT COUNT(*) FROM trellis_members", params![]).await.unwrap();
    assert_eq!(rows, 0, "its row is gone at once");
    let next = Running::start(&store, "two", Duration::from_secs(6)).await;
    assert!(next.handle.epoch() > epoch + 1, "leaving and joining count");
    next.leave().await;
}

pub(super) async fn a_write_is_aborted_when_the_list_has_changed(db: Database) {
    let store = db.store_with_table().await;
    let member = Running::start(&store, "one", Duration::from_secs(6)).await;
    let epoch = member.handle.epoch();
    assert_eq!(fenced(&store, member.id(), epoch, 1).await, Ok(1));
    for (node, epoch) in [("another".to_owned(), epoch), (member.id(), epoch - 1), (member.id(), epoch + 1)] {
        let error = fenced(&store, node, epoch, 2).await.unwrap_err();
        assert!(matches!(error, Error::NotLive(_)), "{error}");
        let error = CoreError::from(error);
        assert_eq!(error.code().id, "TRL4006");
        assert_ne!(error.retry_advice(), Retry::No, "nothing was written");
    }
    let id = member.id();
    member.leave().await;
    assert!(matches!(fenced(&store, id, epoch, 3).await, Err(Error::NotLive(_))));
    assert_eq!(ids(&store).await, [1]);
}
