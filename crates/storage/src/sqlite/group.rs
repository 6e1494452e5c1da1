//! One commit that many writes share.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::watch::Watch;
use crate::work::Work;
use crate::{Error, Tx};

/// A write that ran, and what to tell its caller if the commit succeeds and its own result is not to stand.
pub(super) type Done = (Box<dyn Work>, Result<(), Error>);

/// Nobody's write waits longer than this for others to join its commit.
const MAX_GROUP_TIME: Duration = Duration::from_millis(20);

pub(super) struct Group<'g> {
    tx: Tx,
    watch: &'g Watch,
    done: Vec<Done>,
}

/// Each trip to the driver's thread costs as much as the statement, so as few as possible are made: the savepoint is
/// set with the transaction, moved on before the next write if there is one, and ended by the commit.
const BEGIN: &str = "BEGIN IMMEDIATE; SAVEPOINT work";
const MOVE_ON: &str = "RELEASE work; SAVEPOINT work";
const TAKE_BACK: &str = "ROLLBACK TO work";

impl<'g> Group<'g> {
    pub(super) fn new(tx: Tx, watch: &'g Watch) -> Self {
        Self { tx, watch, done: Vec::new() }
    }

    /// Runs the first write and those that wait behind it, and commits. An error is everybody's.
    pub(super) async fn run(
        &mut self,
        first: Box<dyn Work>,
        jobs: &mut mpsc::Receiver<Box<dyn Work>>,
        max_batch: usize,
        busy_timeout: Duration,
    ) -> Result<(), Error> {
        let patience = first.limit().unwrap_or(busy_timeout);
        if let Err(error) = self.begin(patience).await {
            self.done.push((first, Ok(())));
            return Err(error);
        }
        let start = Instant::now();
        let mut last = self.one(first).await?;
        let mut any = last;
        while self.done.len() < max_batch && start.elapsed() < MAX_GROUP_TIME {
            let Ok(next) = jobs.try_recv() else { break };
            if last && let Err(error) = self.tx.control(MOVE_ON).await {
                self.done.push((next, Ok(())));
                return Err(error);
            }
            last = self.one(next).await?;
            any |= last;
        }
        if !any {
            return self.tx.control("ROLLBACK").await;
        }
        self.tx.control("COMMIT").await.map_err(|error| Error::CommitFailed(error.to_string()))?;
        self.watch.committed();
        Ok(())
    }

    /// The connection for the next group, if it is in order, and the writes to answer.
    pub(super) async fn end(mut self, failed: bool) -> (Option<Tx>, Vec<Done>) {
        if failed && self.tx.control("ROLLBACK").await.is_err() {
            // No transaction is open after some errors; a fresh connection is sure to be clean.
            self.tx.discard();
            return (None, self.done);
        }
        (Some(self.tx), self.done)
    }

    /// Another process may hold the write lock; each try waits for it a few milliseconds.
    async fn begin(&mut self, patience: Duration) -> Result<(), Error> {
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
        self.watch.begin(Instant::now() + limit);
        let ran = tokio::select! {
            biased;
            succeeded = work.run(&mut self.tx) => Ok(succeeded),
            () = self.watch.given_up() => Err(Error::Statement(format!(
                "given up after {limit:?}, because other writes were waiting"
            ))),
        };
        self.watch.end();
        // Work that hid the failure of a statement must not look as if it had succeeded.
        let own = match (ran, self.tx.take_failure()) {
            (Ok(true), Some(failure)) => Err(failure),
            (ran, _) => ran,
        };
        let keep = matches!(own, Ok(true));
        self.done.push((work, own.map(|_| ())));
        if !keep {
            self.tx.control(TAKE_BACK).await?;
        }
        Ok(keep)
    }
}
