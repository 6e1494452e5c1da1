//! PostgreSQL: one pool for reads, one for writes, each write a transaction of its own; one writer for ordered writes,
//! which share transactions; one connection that listens.

mod connect;
mod listener;
mod numeric;
mod values;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::pool::PoolConnection;
use tokio::sync::Semaphore;

use crate::feed::Hub;
use crate::statement::Connection;
use crate::work::{Kind, Work};
use crate::writer::{Source, Writer};
use crate::{Error, Options, Tx};

pub(crate) use values::{query, rows};

use listener::Listener;

/// Pools of connections to one database.
pub(crate) struct Postgres {
    readers: PgPool,
    writers: PgPool,
    waiting: Arc<Semaphore>,
    max_waiting: usize,
    max_work: Duration,
    commits: AtomicU64,
    ordered: Writer,
    leases: PgPool,
    hub: Arc<Hub>,
    for_listening: connect::ForListening,
    listener: Mutex<Option<Listener>>,
    patience: Duration,
}

impl Postgres {
    pub(crate) async fn open(options: &Options, hub: Arc<Hub>) -> Result<Self, Error> {
        let connect::Pools { readers, writers, ordered, leases, for_listening } =
            connect::pools(options).await?;
        let max_waiting = options.max_waiting_writes.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Ok(Self {
            readers,
            writers,
            waiting: Arc::new(Semaphore::new(max_waiting)),
            max_waiting,
            max_work: options.max_work,
            commits: AtomicU64::new(0),
            ordered: Writer::start(Source::Postgres(ordered), None, hub.clone(), options),
            leases,
            hub,
            for_listening,
            listener: Mutex::new(None),
            patience: options.acquire_timeout,
        })
    }

    pub(crate) async fn reader(&self) -> Result<PoolConnection<sqlx::Postgres>, Error> {
        acquire(&self.readers).await
    }

    /// Runs the work in a task of its own, so that it is done whole even when its caller goes away, as on SQLite.
    pub(crate) fn submit(self: &Arc<Self>, mut work: Box<dyn Work>) -> Result<(), Error> {
        let permit = match work.kind() {
            Kind::Ordered => return self.ordered.submit(work),
            Kind::Lease => None,
            Kind::Plain => {
                Some(self.waiting.clone().try_acquire_owned().map_err(|refused| match refused {
                    tokio::sync::TryAcquireError::Closed => Error::closed(),
                    tokio::sync::TryAcquireError::NoPermits => Error::queue_full(self.max_waiting),
                })?)
            }
        };
        let this = self.clone();
        tokio::spawn(async move {
            let outcome = this.transact(&mut *work).await;
            work.finish(outcome);
            drop(permit);
        });
        Ok(())
    }

    /// Begins to listen for changes of other nodes, if that has not begun.
    pub(crate) fn listen(&self) {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.readers.is_closed() {
            let start = || Listener::start(self.for_listening.clone(), self.hub.clone(), self.patience);
            listener.get_or_insert_with(start);
        }
    }

    pub(crate) fn max_waiting_writes(&self) -> usize {
        self.ordered.max_waiting()
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed) + self.ordered.commits()
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        let mut connection = self.reader().await?;
        self.bounded(async { Connection::Postgres(&mut connection).first("SELECT 1", &[]).await })
            .await
            .map(|_| ())
    }

    pub(crate) async fn bounded<T>(&self, read: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::time::timeout(self.max_work, read).await.unwrap_or_else(|_| Err(given_up(self.max_work)))
    }

    /// Ends after every accepted write was answered.
    pub(crate) async fn close(&self) {
        // Fails only when closed already.
        let all = self.waiting.acquire_many(self.max_waiting as u32).await;
        self.waiting.close();
        drop(all);
        self.ordered.close().await;
        self.leases.close().await;
        self.writers.close().await;
        self.readers.close().await;
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listener) = listener {
            listener.close().await;
        }
    }

    async fn transact(&self, work: &mut dyn Work) -> Result<(), Error> {
        let limit = work.limit().unwrap_or(self.max_work);
        let pool = if work.kind() == Kind::Lease { &self.leases } else { &self.writers };
        let mut tx = Tx::postgres(acquire(pool).await?, self.hub.clone());
        let ran = tokio::time::timeout(limit, run(&mut tx, work)).await;
        let ended = match ran.unwrap_or_else(|_| Err(given_up(limit))) {
            // One that is not answered may have taken effect.
            Ok(Ended::Succeeded) => match tokio::time::timeout(limit, tx.control("COMMIT")).await {
                Ok(done) => done.map_err(|error| Error::CommitFailed(error.to_string())),
                Err(_) => Err(Error::CommitFailed(format!("no answer within {limit:?}"))),
            },
            Ok(Ended::RolledBack(None)) => return Ok(()),
            Ok(Ended::RolledBack(Some(failure))) => return Err(failure),
            Err(error) => Err(error),
        };
        match &ended {
            Ok(()) => drop(self.commits.fetch_add(1, Ordering::Relaxed)),
            // Who knows what state the connection is in; the server rolls back when it goes.
            Err(_) => tx.discard(),
        }
        ended
    }
}

enum Ended {
    Succeeded,
    /// With the error that the work hid, if it did.
    RolledBack(Option<Error>),
}

async fn run(tx: &mut Tx, work: &mut dyn Work) -> Result<Ended, Error> {
    tx.control("BEGIN").await?;
    let succeeded = work.run(tx).await;
    // A commit after a failed statement is a rollback that looks like success.
    let failure = tx.take_failure();
    if succeeded && failure.is_none() {
        return Ok(Ended::Succeeded);
    }
    tx.control("ROLLBACK").await?;
    Ok(Ended::RolledBack(failure.filter(|_| succeeded)))
}

fn given_up(limit: Duration) -> Error {
    Error::Unavailable(format!("given up after {limit:?}"))
}

pub(crate) async fn acquire(pool: &PgPool) -> Result<PoolConnection<sqlx::Postgres>, Error> {
    pool.acquire().await.map_err(|error| match error {
        // The pool tries again while nobody listens, and then only knows that time is up.
        sqlx::Error::PoolTimedOut if pool.size() == 0 => {
            Error::Unavailable("no connection to PostgreSQL could be made in time".to_owned())
        }
        other => Error::of(&other, "connect"),
    })
}
