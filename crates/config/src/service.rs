//! The part that acts by itself: it ends sessions, follows other nodes, and forgets what is old.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tracing::{info, warn};
use trellis_core::error::chain;
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::{Store, members};

use crate::adoption;
use crate::engine::Engine;
use crate::error::Result;
use crate::handle::Handle;
use crate::housekeeping;
use crate::kv::sessions;
use crate::options::Options;

/// So many sessions are ended in one turn.
const TURN: usize = 64;
/// What falls due in the meantime is handled in one turn.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the journal is folded.
const SETTLE: Duration = Duration::from_secs(1);
/// How often what is old is looked for.
const TIDY: Duration = Duration::from_mins(1);

/// The configuration. Make it, hand its handle around, and run it.
pub struct Service {
    engine: Arc<Engine>,
}

impl Service {
    /// Brings the tables up to date and reads what is current. Sessions end only while it [runs](Self::run).
    ///
    /// `members` is this process's place among those that share the database: each counts the time of sessions of its
    /// own, and one takes over those of a member that is gone. Without it, and on SQLite, this process counts the time of
    /// all, so it must be the only one.
    pub async fn new(
        options: Options,
        store: Store,
        clock: WallClock,
        members: Option<members::Handle>,
    ) -> Result<(Self, Handle)> {
        let engine = Engine::open(options, store, clock, members).await?;
        Ok((Self { engine: engine.clone() }, Handle::new(engine)))
    }

    /// Runs until the shutdown.
    pub async fn run(self, shutdown: Shutdown) -> trellis_core::error::Result<()> {
        let engine = &self.engine;
        let work = async {
            tokio::join!(
                reap(engine),
                housekeeping::follow(engine),
                tidy(engine),
                settle(engine),
                adoption::run(engine)
            );
        };
        tokio::select! {
            () = shutdown.triggered() => engine.closing.trigger(),
            () = work => {}
        }
        Ok(())
    }
}

/// Ends sessions that nobody renews. Sleeps until the first of them is due.
async fn reap(engine: &Arc<Engine>) {
    loop {
        let Some(deadline) = engine.deadlines().next() else {
            engine.earlier.notified().await;
            continue;
        };
        tokio::select! {
            () = sleep_until(deadline) => {}
            () = engine.earlier.notified() => continue,
        }
        if !adoption::is_alone(engine) {
            // Who counts what has to be read first, and then their time may begin anew.
            sleep(PAUSE).await;
            continue;
        }
        let due = engine.deadlines().due(Instant::now(), TURN);
        let mut ended = 0;
        for id in due {
            match sessions::expire(engine, id).await {
                Ok(true) => ended += 1,
                Ok(false) => {}
                Err(error) => {
                    // It stays due, and is tried again.
                    warn!(session = %id, error = chain(&error), "a session cannot be ended");
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
        if ended > 0 {
            info!(count = ended, "sessions were not renewed and have ended");
        }
        sleep(PAUSE).await;
    }
}

/// Folds the journal now and then, and when there is much in it.
async fn settle(engine: &Arc<Engine>) {
    let mut ticks = interval(SETTLE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = engine.full.notified() => {}
        }
        if let Err(error) = engine.settle().await {
            warn!(error = chain(&error), "the journal cannot be folded; it is tried again");
        }
    }
}

async fn tidy(engine: &Arc<Engine>) {
    let mut ticks = interval(TIDY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = engine.snapshot().revision;
    loop {
        ticks.tick().await;
        if let Err(error) = housekeeping::tidy(engine, before).await {
            warn!(error = chain(&error), "what is old cannot be removed; it is tried again");
        }
        before = engine.snapshot().revision;
    }
}
