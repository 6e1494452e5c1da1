//! The one connection that hears of changes, for all feeds of a store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::task::JoinHandle;

use super::connect::ForListening;
use crate::Error;
use crate::feed::{Hub, Page, schema};

/// The task that listens; it ends with this.
pub(super) struct Listener {
    task: JoinHandle<()>,
    /// Where its present connection comes from.
    pool: Arc<Mutex<Option<PgPool>>>,
    limit: Duration,
}

struct Loop {
    place: ForListening,
    pool: Arc<Mutex<Option<PgPool>>>,
    hub: Arc<Hub>,
    /// How long the server may take for an answer.
    limit: Duration,
}

impl Listener {
    pub(super) fn start(place: ForListening, hub: Arc<Hub>, limit: Duration) -> Self {
        let pool = Arc::default();
        let run = Loop { place, pool: Arc::clone(&pool), hub, limit }.run();
        Self { task: tokio::spawn(run), pool, limit }
    }

    /// Ends it, and its connection in order if the server still answers.
    pub(super) async fn close(mut self) {
        self.task.abort();
        // It was told to.
        let _cancelled = (&mut self.task).await;
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pool) = pool {
            let _in_order = tokio::time::timeout(self.limit, pool.close()).await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Loop {
    async fn run(self) {
        let first = self.hub.options.max_backoff / 50;
        let mut wait = first;
        loop {
            if let Err(error) = self.listen(&mut wait, first).await {
                tracing::warn!(%error, "changes of other nodes are not heard of; connecting again");
            }
            self.hub.connected(false);
            // Half of it is by chance, so that not all nodes come back at once.
            tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            wait = (wait * 2).min(self.hub.options.max_backoff);
        }
    }

    /// Listens until the connection breaks.
    async fn listen(&self, wait: &mut Duration, first: Duration) -> Result<(), Error> {
        let connect = async {
            let pool = self.place.pool();
            *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = Some(pool.clone());
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(schema::CHANNEL).await?;
            Ok(listener)
        };
        let mut listener = self.bounded(connect).await?;
        loop {
            self.catch_up(&mut listener).await?;
            self.hub.connected(true);
            *wait = first;
            tokio::select! {
                heard = listener.try_recv() => match heard {
                    Ok(Some(_)) => {}
                    Ok(None) => return Err(Error::Unavailable("the connection was lost".to_owned())),
                    Err(error) => return Err(Error::of(&error, "LISTEN")),
                },
                () = self.hub.look.notified() => {}
                () = tokio::time::sleep(self.hub.options.compare_every) => {}
            }
        }
    }

    /// Reads everything that is new.
    async fn catch_up(&self, listener: &mut PgListener) -> Result<(), Error> {
        let limit = self.hub.options.max_batch.max(1);
        loop {
            // Read before asking: the answer cannot be behind it.
            let before = self.hub.mark().head;
            let params = Page::params(before, limit);
            let query = super::query(Page::SQL, &params)?;
            let rows = self.bounded(query.fetch_all(&mut *listener)).await?;
            if !self.hub.take_page(before, &Page::read(&super::rows(&rows)?)?, limit) {
                return Ok(());
            }
        }
    }

    async fn bounded<T>(&self, step: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
        match tokio::time::timeout(self.limit, step).await {
            Ok(done) => done.map_err(|error| Error::of(&error, "LISTEN")),
            Err(_) => Err(Error::Unavailable(format!("no answer within {:?}", self.limit))),
        }
    }
}
