//! The middle of it all: the snapshot that reads look at, and how it becomes newer.
//!
//! A change is decided on a snapshot within an ordered transaction of the store (see `changes`); after the commit that
//! snapshot is shown. What other nodes wrote is read in the same order: everything newer than the own revision, with one
//! statement.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use trellis_net::Answers;
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::{Dialect, Store, members, params};

use crate::cells::{self, Cell, Kind};
use crate::changes::{Outcome, Queue};
use crate::error::Result;
use crate::journal::{self, Fold, Step};
use crate::kv::Session;
use crate::kv::deadlines::Deadlines;
use crate::kv::tokens::Delay;
use crate::options::Options;
use crate::reading::Reading;
use crate::snapshot::Snapshot;
use crate::topics::Topics;

pub(crate) struct Engine {
    pub(crate) options: Options,
    pub(crate) store: Store,
    pub(crate) clock: WallClock,
    pub(crate) topics: Topics,
    /// Free places for requests that wait for a change.
    pub(crate) waiters: Semaphore,
    /// Given when the service stops, so that nobody waits for it any longer.
    pub(crate) closing: Shutdown,
    /// A session ends before the one that the reaper sleeps for.
    pub(crate) earlier: Notify,
    /// Who else uses the same database, if anybody may.
    pub(crate) members: Option<members::Handle>,
    /// What this node is called in the sessions whose time it counts.
    pub(crate) node: Arc<str>,
    /// Answers that are made once for all who follow the same keys.
    pub(crate) answers: Answers<Arc<str>>,
    /// How many answers were made, and not taken from those that were there.
    pub(crate) answers_made: AtomicU64,
    /// Changes that wait for the next write.
    pub(crate) changes: Queue,
    /// About what the steps of the journal weigh that are not folded yet.
    pub(crate) journaled: AtomicUsize,
    /// The journal is to be folded.
    pub(crate) full: Notify,
    current: ArcSwap<Snapshot>,
    refreshing: tokio::sync::Mutex<()>,
    folding: tokio::sync::Mutex<()>,
    deadlines: Mutex<Deadlines>,
    /// When this node first saw each lock delay. Measured here, so no clock that jumps can shorten one.
    seen: Mutex<HashMap<Arc<str>, (u64, Instant)>>,
}

/// Why the journal was not folded.
enum Halt {
    Failed(trellis_storage::Error),
    Overtaken,
}

impl From<trellis_storage::Error> for Halt {
    fn from(error: trellis_storage::Error) -> Self {
        Self::Failed(error)
    }
}

impl Engine {
    pub(crate) async fn open(
        options: Options,
        store: Store,
        clock: WallClock,
        members: Option<members::Handle>,
    ) -> Result<Arc<Self>> {
        store.migrate(cells::OWNER, cells::MIGRATIONS).await?;
        if store.head().await? == 0 {
            // Whoever waits for what is not there yet is told of index 1, since 0 means "now" to Consul's clients. So the
            // first change has to come after that.
            store.write_ordered(|tx| Box::pin(async move { tx.announce(cells::OWNER, "*").await })).await?;
        }
        // A file belongs to one process.
        let members = members.filter(|_| store.dialect() == Dialect::Postgres);
        let node = match &members {
            Some(members) => members.node_id().clone(),
            None => crate::kv::random_id()?.to_string().into(),
        };
        let engine = Arc::new(Self {
            changes: Queue::new(store.max_waiting_writes()),
            journaled: AtomicUsize::new(0),
            full: Notify::new(),
            topics: Topics::default(),
            waiters: Semaphore::new(options.max_waiters.min(Semaphore::MAX_PERMITS)),
            closing: Shutdown::new(),
            earlier: Notify::new(),
            members,
            node,
            answers: Answers::default(),
            answers_made: AtomicU64::new(0),
            current: ArcSwap::default(),
            refreshing: tokio::sync::Mutex::default(),
            folding: tokio::sync::Mutex::default(),
            deadlines: Mutex::default(),
            seen: Mutex::default(),
            options,
            store,
            clock,
        });
        engine.refresh(None).await?;
        if engine.snapshot().revision == 0 {
            // Revision 0 asks for everything, so nobody could wait for the first change after it.
            let first = |_: &Snapshot, revision| {
                let floor = Cell::new(Kind::Floor, "", revision, true, &0);
                Ok(Outcome { value: (), steps: vec![Step::Cell(floor)] })
            };
            engine.change(first).await?;
        }
        engine.settle().await?;
        Ok(engine)
    }

    /// Whether other processes may write to the store: a file belongs to this one.
    pub(crate) fn is_shared(&self) -> bool {
        self.store.dialect() == Dialect::Postgres
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(crate) fn deadlines(&self) -> MutexGuard<'_, Deadlines> {
        self.deadlines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the database has and the snapshot has not; nothing, if that has the revision `known` already.
    pub(crate) async fn refresh(&self, known: Option<u64>) -> Result<()> {
        let has = |known: u64| self.current.load().revision >= known;
        if known.is_some_and(has) {
            return Ok(());
        }
        let turn = self.refreshing.lock().await;
        if known.is_some_and(has) {
            return Ok(());
        }
        let reading = Reading::of(&self.store, &self.snapshot()).await?;
        self.show(reading, &turn);
        Ok(())
    }

    /// Reads everything anew: the database may have been set back to an earlier state.
    pub(crate) async fn reload(&self) -> Result<()> {
        let turn = self.refreshing.lock().await;
        let reading = Reading::of(&self.store, &Snapshot::default()).await?;
        self.show(Reading { forgotten: true, ..reading }, &turn);
        Ok(())
    }

    /// Shows what a transaction read and wrote, unless somebody has shown that by now.
    pub(crate) async fn install(&self, reading: Reading) {
        let turn = self.refreshing.lock().await;
        if reading.snapshot.revision > self.current.load().revision {
            self.show(reading, &turn);
        }
    }

    /// Sees that the tables of versions and audit have everything that was acknowledged, on any node.
    pub(crate) async fn settle_for_reading(&self) -> Result<()> {
        if self.members.is_some() && self.journaled.load(Ordering::Relaxed) == 0 {
            let sql = "SELECT 1 FROM config_journal LIMIT 1";
            let of_others: Option<i32> = self.store.fetch_optional(sql, params![]).await?;
            self.journaled.fetch_add(usize::from(of_others.is_some()), Ordering::Relaxed);
        }
        self.settle().await
    }

    /// Folds the journal into its tables.
    pub(crate) async fn settle(&self) -> Result<()> {
        // Whoever finds nothing to do must not be ahead of one who is still at it.
        let _turn = self.folding.lock().await;
        if self.journaled.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        // What is added meanwhile is folded the next time.
        let before = self.journaled.swap(0, Ordering::Relaxed);
        let folded = self.fold().await;
        if folded.is_err() {
            self.journaled.fetch_add(before, Ordering::Relaxed);
        }
        folded
    }

    async fn fold(&self) -> Result<()> {
        let keep = self.options.history;
        // Read and put together beforehand: other writes wait for what is done in the transaction.
        let Some(mut fold) = Fold::read(&self.store, keep).await? else { return Ok(()) };
        while let Some(part) = fold.next_ahead() {
            // Ordered, so that what another node does to the journal comes before it or after it.
            let done: std::result::Result<bool, trellis_storage::Error> =
                self.store.write_ordered(move |tx| Box::pin(part.run(tx))).await;
            if !done? {
                break;
            }
        }
        let done = self
            .store
            .write_ordered(move |tx| {
                Box::pin(async move { if fold.run(tx).await? { Ok(()) } else { Err(Halt::Overtaken) } })
            })
            .await;
        match done {
            Ok(()) => Ok(()),
            Err(Halt::Failed(error)) => Err(error.into()),
            // By another node, or by a write that could not wait: what is left is folded in one go.
            Err(Halt::Overtaken) => {
                let rest: std::result::Result<(), trellis_storage::Error> =
                    self.store.write_ordered(move |tx| Box::pin(journal::fold(tx, keep))).await;
                Ok(rest?)
            }
        }
    }

    fn show(&self, reading: Reading, _turn: &tokio::sync::MutexGuard<'_, ()>) {
        let Reading { snapshot, cells, forgotten, journaled } = reading;
        self.journaled.fetch_add(journaled, Ordering::Relaxed);
        let revision = snapshot.revision;
        // Seen before it is shown: whoever reads of a delay finds when it began.
        self.note_delays(&cells, Instant::now());
        self.current.store(Arc::new(snapshot));
        if forgotten {
            self.count_all();
            self.topics.publish_all(revision);
            return;
        }
        self.count(&cells);
        for cell in &cells {
            if let Ok(name) = cell.name() {
                self.topics.publish(cell.kind, name, cell.revision);
            }
        }
    }

    fn note_delays(&self, cells: &[Cell], now: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for cell in cells.iter().filter(|cell| cell.kind == Kind::Delay) {
            let Ok(name) = cell.name() else { continue };
            if !cell.live {
                seen.remove(name);
            } else if seen.get(name).is_none_or(|(revision, _)| *revision < cell.revision) {
                seen.insert(name.into(), (cell.revision, now));
            }
        }
    }

    /// Whether a lock delay still runs. One that this node has not seen yet does.
    pub(crate) fn runs(&self, key: &str, delay: &Delay) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(key)
            .is_none_or(|(revision, since)| *revision != delay.revision || since.elapsed() < delay.length)
    }

    /// Whether this node counts the session's time.
    pub(crate) fn counts(&self, session: &Session) -> bool {
        self.members.is_none() || *session.holder == *self.node
    }

    fn count(&self, cells: &[Cell]) {
        let snapshot = self.snapshot();
        let now = Instant::now();
        for cell in cells.iter().filter(|cell| cell.kind == Kind::Session) {
            let Ok((id, _)) = Session::of_cell(cell) else { continue };
            self.count_one(id, snapshot.sessions.get(&id).map(|session| &**session), now);
        }
    }

    fn count_all(&self) {
        let snapshot = self.snapshot();
        let now = Instant::now();
        for (id, session) in &snapshot.sessions {
            self.count_one(*id, Some(session), now);
        }
    }

    fn count_one(&self, id: crate::kv::SessionId, session: Option<&Session>, now: Instant) {
        let mut deadlines = self.deadlines();
        let ttl = session.filter(|session| self.counts(session)).and_then(Session::ttl);
        match ttl {
            Some(ttl) if !deadlines.contains(id) => {
                let before = deadlines.next();
                deadlines.start(id, ttl, now);
                if deadlines.next() != before {
                    self.earlier.notify_one();
                }
            }
            Some(_) => {}
            None => deadlines.stop(id),
        }
    }
}
