//! The queue in front of the one writer, and the task that empties it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;

use super::connect;
use super::group::{Done, Group};
use super::watch::Watch;
use crate::work::Work;
use crate::{Error, Options, Tx};

type Jobs = mpsc::Sender<Box<dyn Work>>;

pub(super) struct Writer {
    jobs: Mutex<Option<Jobs>>,
    task: Mutex<Option<JoinHandle<()>>>,
    watch: Arc<Watch>,
    max_waiting: usize,
}

struct Loop {
    jobs: mpsc::Receiver<Box<dyn Work>>,
    /// None after a failure; opened again for the next group.
    tx: Option<Tx>,
    path: PathBuf,
    busy_timeout: Duration,
    max_batch: usize,
    watch: Arc<Watch>,
}

impl Writer {
    pub(super) async fn open(path: &Path, options: &Options) -> Result<Self, Error> {
        let connection = connect::writer(path, options.busy_timeout).await?;
        let max_waiting = options.max_waiting_writes.max(1);
        let (sender, receiver) = mpsc::channel(max_waiting);
        let watch = Arc::new(Watch::new(options.max_work));
        let run = Loop {
            jobs: receiver,
            tx: Some(Tx::sqlite(connection)),
            path: path.to_owned(),
            busy_timeout: options.busy_timeout,
            max_batch: options.max_batch.max(1),
            watch: watch.clone(),
        };
        Ok(Self {
            jobs: Mutex::new(Some(sender)),
            task: Mutex::new(Some(tokio::spawn(run.run()))),
            watch,
            max_waiting,
        })
    }

    pub(super) fn submit(&self, work: Box<dyn Work>) -> Result<(), Error> {
        self.watch.check(Instant::now());
        match &*lock(&self.jobs) {
            None => Err(Error::closed()),
            Some(jobs) => jobs.try_send(work).map_err(|refused| match refused {
                TrySendError::Full(_) => Error::queue_full(self.max_waiting),
                TrySendError::Closed(_) => Error::closed(),
            }),
        }
    }

    pub(super) fn commits(&self) -> u64 {
        self.watch.commits()
    }

    pub(super) async fn close(&self) {
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
        let tx = match self.tx.take() {
            Some(tx) => tx,
            None => match connect::writer(&self.path, self.busy_timeout).await {
                Ok(connection) => Tx::sqlite(connection),
                Err(error) => return (vec![(first, Ok(()))], Err(error)),
            },
        };
        let mut group = Group::new(tx, &self.watch);
        let outcome = group.run(first, &mut self.jobs, self.max_batch, self.busy_timeout).await;
        let (tx, done) = group.end(outcome.is_err()).await;
        self.tx = tx;
        (done, outcome)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
