//! The connections that read: opened when first needed, at most so many, given back after each statement.
//!
//! No timer runs unless one has to wait, so tests with a paused clock may use a store.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::SqliteConnection;
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

use super::connect;
use crate::statement::Connection;
use crate::{Error, Options};

pub(super) struct Readers {
    path: PathBuf,
    busy_timeout: Duration,
    acquire_timeout: Duration,
    max: u32,
    permits: Semaphore,
    idle: Mutex<Vec<SqliteConnection>>,
}

/// A connection on loan.
pub(crate) struct Reader<'r> {
    readers: &'r Readers,
    connection: Option<SqliteConnection>,
    // Given back after the connection is, by the order of the fields.
    _permit: SemaphorePermit<'r>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, options: &Options) -> Self {
        let max = options.max_readers.max(1);
        Self {
            path,
            busy_timeout: options.busy_timeout,
            acquire_timeout: options.acquire_timeout,
            max,
            permits: Semaphore::new(max as usize),
            idle: Mutex::new(Vec::new()),
        }
    }

    pub(super) async fn acquire(&self) -> Result<Reader<'_>, Error> {
        let permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(TryAcquireError::Closed) => return Err(Error::closed()),
            Err(TryAcquireError::NoPermits) => {
                match tokio::time::timeout(self.acquire_timeout, self.permits.acquire()).await {
                    Ok(Ok(permit)) => permit,
                    Ok(Err(_)) => return Err(Error::closed()),
                    Err(_) => return Err(Error::Busy(format!("all {} readers are in use", self.max))),
                }
            }
        };
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect::reader(&self.path, self.busy_timeout).await?,
        };
        Ok(Reader { readers: self, connection: Some(connection), _permit: permit })
    }

    /// Refuses further loans and returns the connections once all are back.
    pub(super) async fn close(&self) -> Vec<SqliteConnection> {
        // Fails only when closed already, and then there is nothing left to wait for.
        let all = self.permits.acquire_many(self.max).await;
        self.permits.close();
        drop(all);
        std::mem::take(&mut *self.idle())
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    pub(crate) fn connection(&mut self) -> Connection<'_> {
        match &mut self.connection {
            Some(connection) => Connection::Sqlite(connection),
            None => unreachable!("the connection is taken only when the loan ends"),
        }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.readers.idle().push(connection);
        }
    }
}
