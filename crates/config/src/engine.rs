//! The middle of it all: the snapshot that reads look at, and the one way in which it changes.
//!
//! A change is decided and written inside an ordered transaction of the store, and then read back: the snapshot takes in
//! everything newer than its revision with one statement. So it sees the changes of other nodes in the same order as its
//! own, and many changes at once share one reading.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tracing::error;
use trellis_core::error::chain;
use trellis_net::Answers;
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::{BoxFuture, Dialect, Store, Tx, members};

use crate::cells::{self, Cell, Kind};
use crate::error::{Error, Result};
use crate::kv::Session;
use crate::kv::deadlines::Deadlines;
use crate::kv::tokens::Delay;
use crate::options::Options;
use crate::ordered;
use crate::snapshot::Snapshot;
use crate::topics::Topics;
use crate::versioned::history::{self, Record};

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
    current: ArcSwap<Snapshot>,
    refreshing: tokio::sync::Mutex<()>,
    deadlines: Mutex<Deadlines>,
    /// When this node first saw each lock delay. Measured here, so no clock that jumps can shorten one.
    seen: Mutex<HashMap<Arc<str>, (u64, Instant)>>,
}

/// What a change decided.
pub(crate) struct Outcome<T> {
    pub(crate) value: T,
    /// What is written. Nothing: nothing is changed, and there is no new revision.
    pub(crate) cells: Vec<Cell>,
    /// What is added to the history.
    pub(crate) records: Vec<Record>,
}

/// Why a transaction is given up.
enum Halt<T> {
    Failed(Error),
    Unchanged(T),
}

impl<T> From<trellis_storage::Error> for Halt<T> {
    fn from(error: trellis_storage::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// So often a snapshot is read again if the database does not answer after a write.
const READ_TRIES: u32 = 5;

impl Engine {
    pub(crate) async fn open(
        options: Options,
        store: Store,
        clock: WallClock,
        members: Option<members::Handle>,
    ) -> Result<Self> {
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
        let engine = Self {
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
            deadlines: Mutex::default(),
            seen: Mutex::default(),
            options,
            store,
            clock,
        };
        engine.refresh(None).await?;
        if engine.snapshot().revision == 0 {
            // Revision 0 asks for everything, so nobody could wait for the first change after it.
            let first = engine.change(|_, revision| {
                let cells = vec![Cell::new(Kind::Floor, "", revision, true, &0)];
                Box::pin(async move { Ok(Outcome { value: (), cells, records: Vec::new() }) })
            });
            first.await?;
        }
        Ok(engine)
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(crate) fn deadlines(&self) -> MutexGuard<'_, Deadlines> {
        self.deadlines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides and writes. Returns after the commit, when the snapshot has it; with the revision, if there is one.
    pub(crate) async fn change<T, F>(&self, work: F) -> Result<(T, Option<u64>)>
    where
        F: for<'t> FnOnce(&'t mut Tx, u64) -> BoxFuture<'t, Result<Outcome<T>>> + Send + 'static,
        T: Send + 'static,
    {
        let keep = self.options.history;
        let written = ordered::write(&self.store, move |tx, revision| {
            Box::pin(async move {
                let outcome = work(tx, revision).await.map_err(Halt::Failed)?;
                if outcome.cells.is_empty() {
                    return Err(Halt::Unchanged(outcome.value));
                }
                for cell in outcome.cells {
                    cells::put(tx, cell).await?;
                }
                for record in outcome.records {
                    history::add(tx, record, keep).await?;
                }
                Ok((outcome.value, revision))
            })
        })
        .await;
        match written {
            Ok((value, revision)) => {
                self.catch_up(revision).await?;
                Ok((value, Some(revision)))
            }
            Err(Halt::Unchanged(value)) => Ok((value, None)),
            Err(Halt::Failed(error)) => Err(error),
        }
    }

    /// Waits until the snapshot has this revision. What is written is written, so a database that does not answer for
    /// an instant is asked again.
    async fn catch_up(&self, revision: u64) -> Result<()> {
        let mut pause = Duration::from_millis(5);
        for _ in 1..READ_TRIES {
            if self.refresh(Some(revision)).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause *= 4;
        }
        self.refresh(Some(revision)).await.map_err(|error| match error {
            // It must not look as if nothing had been done.
            Error::Store(cause) => trellis_storage::Error::CommitFailed(cause.to_string()).into(),
            other => other,
        })
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
        let old = self.snapshot();
        self.take_in(&old, turn).await
    }

    /// Reads everything anew: the database may have been set back to an earlier state.
    pub(crate) async fn reload(&self) -> Result<()> {
        let turn = self.refreshing.lock().await;
        self.take_in(&Snapshot::default(), turn).await?;
        self.count_all();
        self.topics.publish_all(self.current.load().revision);
        Ok(())
    }

    async fn take_in(&self, old: &Snapshot, _turn: tokio::sync::MutexGuard<'_, ()>) -> Result<()> {
        let mut cells = cells::since(&self.store, old.revision).await?;
        let mut new = old.clone();
        // Deletions that this node has not seen may be forgotten already, so everything is read anew.
        let forgotten = old.revision > 0
            && cells.iter().any(|c| c.kind == Kind::Floor && c.meta().is_ok_and(|f: u64| f > old.revision));
        if forgotten {
            cells = cells::since(&self.store, 0).await?;
            new = Snapshot::default();
        }
        for cell in &cells {
            new.apply(cell).map_err(|cause| unreadable(cell, &cause))?;
        }
        // Seen before it is shown: whoever reads of a delay finds when it began.
        self.note_delays(&cells, Instant::now());
        self.current.store(Arc::new(new));
        if forgotten {
            self.count_all();
            self.topics.publish_all(self.current.load().revision);
        } else {
            self.count(&cells);
            for cell in &cells {
                if let Ok(name) = cell.name() {
                    self.topics.publish(cell.kind, name, cell.revision);
                }
            }
        }
        Ok(())
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

fn unreadable(cell: &Cell, cause: &str) -> Error {
    let name = String::from_utf8_lossy(&cell.name);
    let fix = "was it written by a newer version? Delete the row, or run that version";
    let text =
        format!("config_cells has a row ({:?}, {name}) that cannot be read: {cause}; {fix}", cell.kind);
    let error = trellis_storage::Error::Decode(text);
    error!(error = chain(&error), "the configuration cannot be read");
    error.into()
}
