//! Finishes what nobody works on any more: after a crash, after another instance has died, and whatever could not be
//! taken back at the first try.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;
use trellis_sdk::context::{self, RequestContext};
use trellis_sdk::core::ServiceName;
use trellis_sdk::core::error::{Result, chain};
use trellis_sdk::runtime::{Shutdown, WallClock};

use super::driver::{Driver, Report};
use super::remotes::Remotes;
use crate::orders::repository::{Journal, Keys};
use crate::time;

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(500);
/// Orders that are finished at the same time.
const PARALLEL: usize = 64;
/// How long running work may go on after we are asked to stop.
const DRAIN: Duration = Duration::from_secs(5);
const PURGE_INTERVAL: Duration = Duration::from_mins(1);
const PURGE_BATCH: i64 = 1000;

/// The task that finishes work.
pub(in crate::orders) struct Recovery<R> {
    pub(in crate::orders) driver: Arc<Driver<R>>,
    pub(in crate::orders) journal: Journal,
    pub(in crate::orders) keys: Keys,
    /// How long an answered idempotency key is remembered.
    pub(in crate::orders) key_lifetime: Duration,
    pub(in crate::orders) clock: WallClock,
    /// All work of the module, to be waited for at the end.
    pub(in crate::orders) tracker: TaskTracker,
    pub(in crate::orders) module: ServiceName,
}

impl<R: Remotes> Recovery<R> {
    /// Works until `shutdown`, then lets running work end.
    pub(in crate::orders) async fn run(self, shutdown: Shutdown) -> Result<()> {
        let permits = Arc::new(Semaphore::new(PARALLEL));
        let mut next_purge = Instant::now();
        while !shutdown.is_triggered() {
            let found = self.round(&permits).await;
            if Instant::now() >= next_purge {
                self.purge().await;
                next_purge = Instant::now() + PURGE_INTERVAL;
            }
            if found == 0 {
                tokio::select! {
                    () = shutdown.triggered() => {}
                    () = sleep(INTERVAL) => {}
                }
            }
        }
        self.tracker.close();
        if timeout(DRAIN, self.tracker.wait()).await.is_err() {
            tracing::warn!(
                orders = self.tracker.len(),
                "stopping with orders under way; they are finished after the next start"
            );
        }
        Ok(())
    }

    /// Takes over what is due, as far as there is room; how many orders that were.
    async fn round(&self, permits: &Arc<Semaphore>) -> usize {
        let room = permits.available_permits();
        if room == 0 {
            return 0;
        }
        let sagas = match self.journal.claim_due(room).await {
            Ok(sagas) => sagas,
            Err(error) => {
                tracing::warn!(error = chain(&error), "unfinished orders cannot be looked for");
                return 0;
            }
        };
        let found = sagas.len();
        for saga in sagas {
            tracing::info!(
                order = saga.order_id,
                stage = saga.stage.as_str(),
                claim = saga.claim,
                "finishing an order"
            );
            let (driver, permits) = (self.driver.clone(), permits.clone());
            let context = RequestContext::root(self.module.clone(), (fastrand::u128(..), fastrand::u64(..)));
            let work = async move {
                // Never closed, and no more were claimed than there was room for.
                let _permit = permits.acquire_owned().await;
                driver.run(saga, Report::default()).await;
            };
            self.tracker.spawn(context::scope(context, work));
        }
        found
    }

    async fn purge(&self) {
        let before_ms = time::before(self.clock.unix_millis(), self.key_lifetime);
        if let Err(error) = self.keys.purge(before_ms, PURGE_BATCH).await {
            tracing::warn!(error = chain(&error), "old idempotency keys cannot be removed");
        }
    }
}
