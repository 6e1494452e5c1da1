//! One commit that many writes share.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::watch::Watch;
use crate::feed::{Gap, Hub};
use crate::work::Work;
use crate::{Dialect, Error, Tx};

/// A write that ran, and what to tell its caller if the commit succeeds and its own result is not to stand.
pub(super) type Done = (Box<dyn Work>, Result<(), Error>);

/// Nobody's write waits longer than this for others to join its commit.
const MAX_GROUP_TIME: Duration = Duration::from_millis(20);

/// A server that answers takes back at once. One that has not answered until now is not to be waited for as long again.
const MAX_TAKE_BACK: Duration = Duration::from_secs(5);

pub(super) struct Group<'g> {
    tx: Tx,
    watch: &'g Watch,
    hub: &'g Hub,
    done: Vec<Done>,
}

/// Each trip to the driver's thread costs as much as the statement, so as few as possible are made: the savepoint is
/// set with the transaction, moved on before the next write if there is one, and ended by the commit.
const BEGIN: &str = "BEGIN IMMEDIATE; SAVEPOINT work";
const SAVEPOINT: &str = "SAVEPOINT work";
const MOVE_ON: &str = "RELEASE SAVEPOINT work; SAVEPOINT work";
const TAKE_BACK: &str = "ROLLBACK TO SAVEPOINT work";

impl<'g> Group<'g> {
    pub(super) fn new(tx: Tx, watch: &'g Watch, hub: &'g Hub) -> Self {
        Self { tx, watch, hub, done: Vec::new() }
    }

    /// Begins the transaction. Nothing was done if this fails.
    pub(super) async fn begin(&mut self, patience: Duration) -> Result<(), Error> {
        drop(self.tx.take_announced());
        match self.tx.dialect() {
            Dialect::Sqlite => self.begin_patiently(patience).await,
            // The lock on the head comes before everything else, so two groups of different nodes cannot wait for each
            // other, and each sees all that the one before it did. It would not survive a savepoint that was set
            // before it.
            Dialect::Postgres => {
                let begin = async {
                    self.tx.control("BEGIN").await?;
                    let taken = self.tx.take_head().await;
                    self.tx.take_failure();
                    taken?;
                    self.tx.control(SAVEPOINT).await
                };
                // Half of it is the server's wait for the lock.
                bounded(Dialect::Postgres, self.watch.limit().min(patience * 2), begin).await
            }
        }
    }

    /// What is to be answered when there was no transaction for it.
    pub(super) fn refuse(&mut self, work: Box<dyn Work>) {
        self.done.push((work, Ok(())));
    }

    /// Runs the first write and those that wait behind it, and commits. An error is everybody's.
    pub(super) async fn run(
        &mut self,
        first: Box<dyn Work>,
        jobs: &mut mpsc::Receiver<Box<dyn Work>>,
        max_batch: usize,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let mut last = self.one(first).await?;
        let mut any = last;
        while self.done.len() < max_batch && start.elapsed() < MAX_GROUP_TIME {
            let Ok(next) = jobs.try_recv() else { break };
            if last && let Err(error) = self.control(MOVE_ON).await {
                self.refuse(next);
                return Err(error);
            }
            last = self.one(next).await?;
            any |= last;
        }
        if !any {
            return self.control("ROLLBACK").await;
        }
        bounded(self.tx.dialect(), self.watch.limit(), self.tx.write_announced()).await?;
        // One that is not answered may have taken effect.
        self.control("COMMIT").await.map_err(|error| Error::CommitFailed(error.to_string()))?;
        self.watch.committed();
        let gap = match self.tx.dialect() {
            Dialect::Sqlite => Gap::Jump,
            Dialect::Postgres => Gap::Look,
        };
        self.hub.offer(&self.tx.take_announced(), gap);
        Ok(())
    }

    /// The connection for the next group, if it is in order, and the writes to answer.
    pub(super) async fn end(mut self, failed: bool) -> (Option<Tx>, Vec<Done>) {
        if !failed {
            return (Some(self.tx), self.done);
        }
        // No transaction is open after some errors of SQLite, and a server rolls back when the connection goes; a
        // fresh connection is sure to be clean.
        self.tx.take_failure();
        if self.tx.dialect() == Dialect::Sqlite && self.tx.control("ROLLBACK").await.is_ok() {
            return (Some(self.tx), self.done);
        }
        self.tx.discard();
        (None, self.done)
    }

    /// Another process may hold the write lock; each try waits for it a few milliseconds.
    async fn begin_patiently(&mut self, patience: Duration) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            match self.tx.control(BEGIN).await {
                Err(Error::Busy(_)) if start.elapsed() < patience => {}
                done => return done,
            }
        }
    }

    /// Runs one write; true if its changes are kept. Otherwise they, and only they, are taken back.
    async fn one(&mut self, mut work: Box<dyn Work>) -> Result<bool, Error> {
        let limit = work.limit().unwrap_or(self.watch.limit());
        let shared = self.tx.dialect() == Dialect::Postgres;
        self.tx.begin_work(work.kind());
        self.watch.begin(Instant::now() + limit);
        let given_up = |why: &str| Err(Error::Statement(format!("given up after {limit:?}, because {why}")));
        let ran = tokio::select! {
            biased;
            succeeded = work.run(&mut self.tx) => Ok(succeeded),
            () = self.watch.given_up() => given_up("other writes were waiting"),
            // Other nodes may be waiting. No timer is made on SQLite: see `Watch`.
            () = async { tokio::time::sleep(limit).await }, if shared => {
                given_up("it held up the writes of all nodes")
            }
        };
        self.watch.end();
        let failure = self.tx.take_failure();
        // Work that hid the failure of a statement must not look as if it had succeeded.
        let own = match (ran, &failure) {
            (Ok(true), Some(failure)) => Err(failure.clone()),
            (ran, _) => ran,
        };
        let keep = matches!(own, Ok(true));
        self.done.push((work, own.map(|_| ())));
        if !keep {
            self.tx.take_back_announced();
            // SQLite ends the whole transaction by itself when the disk is full or fails (see
            // https://www.sqlite.org/lang_transaction.html), and PostgreSQL does when the connection breaks. Then there is
            // nothing to take back to, the changes of all are gone, and the reason for that is the first error.
            let limit = self.watch.limit().min(MAX_TAKE_BACK);
            if let Err(error) = bounded(self.tx.dialect(), limit, self.tx.control(TAKE_BACK)).await {
                return Err(failure.unwrap_or(error));
            }
        }
        Ok(keep)
    }

    async fn control(&mut self, sql: &str) -> Result<(), Error> {
        bounded(self.tx.dialect(), self.watch.limit(), self.tx.control(sql)).await
    }
}

/// A server may fall silent. SQLite has limits of its own, and no timer.
async fn bounded<T>(
    dialect: Dialect,
    limit: Duration,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match dialect {
        Dialect::Sqlite => step.await,
        Dialect::Postgres => match tokio::time::timeout(limit, step).await {
            Ok(done) => done,
            Err(_) => Err(Error::Unavailable(format!("given up after {limit:?}"))),
        },
    }
}
