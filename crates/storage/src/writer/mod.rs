//! The queue in front of the one writer, and the task that empties it: all writes on SQLite, the ordered ones on
//! PostgreSQL.

mod group;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;

use crate::feed::Hub;
use crate::work::Work;
use crate::{Error, Options, Tx, postgres, sqlite};

use group::{Done, Group};
use watch::Watch;

type Jobs = mpsc::Sender<Box<dyn Work>>;

/// Where the writer's connection comes from.
pub(crate) enum Source {
    Sqlite(PathBuf),
    /// A pool of one.
    Postgres(PgPool),
}

pub(crate) struct Writer {
    jobs: Mutex<Option<Jobs>>,
    task: Mutex<Option<JoinHandle<()>>>,
    watch: Arc<Watch>,
    max_waiting: usize,
}

struct Loop {
    jobs: mpsc::Receiver<Box<dyn Work>>,
    /// None at first and after a failure; opened for the next group.
    tx: Option<Tx>,
    source: Source,
    hub: Arc<Hub>,
    busy_timeout: Duration,
    max_batch: usize,
    watch: Arc<Watch>,
}

impl Writer {
    /// A writer with this connection, or with one that is opened when it is first needed.
    pub(crate) fn start(source: Source, tx: Option<Tx>, hub: Arc<Hub>, options: &Options) -> Self {
        let max_waiting = options.max_waiting_writes.max(1);
        let (sender, receiver) = mpsc::channel(max_waiting);
        let watch = Arc::new(Watch::new(options.max_work));
        let run = Loop {
            jobs: receiver,
            tx,
            source,
            hub,
            busy_timeout: options.busy_timeout,
            max_batch: options.max_batch.max(1),
            watch: watch.clone(),
        };
        Self {
            jobs: Mutex::new(Some(sender)),
            task: Mutex::new(Some(tokio::spawn(run.run()))),
            watch,
            max_waiting,
        }
    }

    pub(crate) fn submit(&self, work: Box<dyn Work>) -> Result<(), Error> {
        self.watch.check(Instant::now());
        match &*lock(&self.jobs) {
            None => Err(Error::closed()),
            Some(jobs) => jobs.try_send(work).map_err(|refused| match refused {
                TrySendError::Full(_) => Error::queue_full(self.max_waiting),
                TrySendError::Closed(_) => Error::closed(),
            }),
        }
    }

    pub(crate) fn max_waiting(&self) -> usize {
        self.max_waiting
    }

    pub(crate) fn commits(&self) -> u64 {
        self.watch.commits()
    }

    pub(crate) async fn close(&self) {
        // Without a sender the task ends once the queue is empty.
        drop(lock(&self.jobs).take());
        let task = lock(&self.task).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the database writer did not end in order");
        }
    }
}

impl Source {
    async fn open(&self, busy_timeout: Duration, hub: &Arc<Hub>) -> Result<Tx, Error> {
        match self {
            Self::Sqlite(path) => {
                sqlite::writer(path, busy_timeout).await.map(|it| Tx::sqlite(it, hub.clone()))
            }
            Self::Postgres(pool) => postgres::acquire(pool).await.map(|it| Tx::postgres(it, hub.clone())),
        }
    }
}

impl Loop {
    async fn run(mut self) {
        while let Some(first) = self.jobs.recv().await {
            let (done, outcome) = self.commit_group(first).await;
            for (work, own) in done {
                work.finish(outcome.clone().and(own));
            }
        }
        if let Some(tx) = self.tx
            && let Err(error) = tx.close().await
        {
            tracing::warn!(%error, "the database did not close in order");
        }
    }

    async fn commit_group(&mut self, first: Box<dyn Work>) -> (Vec<Done>, Result<(), Error>) {
        let patience = first.limit().unwrap_or(self.busy_timeout);
        let mut kept = self.tx.take();
        let (mut group, begun) = loop {
            let was_kept = kept.is_some();
            let tx = match kept.take() {
                Some(tx) => tx,
                None => match self.source.open(self.busy_timeout, &self.hub).await {
                    Ok(tx) => tx,
                    Err(error) => {
                        let mut refused = vec![(first, Ok(()))];
                        refused.extend(waiting_too(&self.source, &mut self.jobs));
                        return (refused, Err(error));
                    }
                },
            };
            let mut group = Group::new(tx, &self.watch, &self.hub);
            match group.begin(patience).await {
                // A connection that was not used for a while may be dead without a sign; nothing was done over it.
                Err(Error::Unavailable(_)) if was_kept => drop(group.end(true).await),
                begun => break (group, begun),
            }
        };
        let outcome = match begun {
            Ok(()) => group.run(first, &mut self.jobs, self.max_batch).await,
            Err(error) => {
                group.refuse(first);
                for (work, _) in waiting_too(&self.source, &mut self.jobs) {
                    group.refuse(work);
                }
                Err(error)
            }
        };
        let (tx, done) = group.end(outcome.is_err()).await;
        self.tx = tx;
        (done, outcome)
    }
}

/// On PostgreSQL it may take long until there is no transaction; those that wait must not wait as long again, one after the
/// other.
fn waiting_too(source: &Source, jobs: &mut mpsc::Receiver<Box<dyn Work>>) -> Vec<Done> {
    let many = match source {
        Source::Sqlite(_) => 0,
        Source::Postgres(_) => jobs.len(),
    };
    (0..many).map_while(|_| jobs.try_recv().ok()).map(|work| (work, Ok(()))).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
