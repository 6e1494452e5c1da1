//! One write that many changes share.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use trellis_storage::Tx;

use super::Fence;
use super::waiting::Waiting;
use crate::cells::OWNER;
use crate::engine::Engine;
use crate::error::Error;
use crate::journal::{self, Step};
use crate::reading::Reading;

/// So many changes share a write at most.
const MAX_CHANGES: usize = 256;
/// No more are taken when they have so many bytes together.
const MAX_BYTES: usize = 4 << 20;

/// Those that a write has taken out of the queue.
type Taken = Arc<Mutex<Vec<Box<dyn Waiting>>>>;

/// Why a transaction is given up.
enum Halt {
    Failed(Error),
    /// Nothing was decided that has to be written.
    Unwritten(Reading),
}

/// What a transaction did.
struct Written {
    reading: Reading,
    /// What the steps weigh that were put into the journal.
    weight: usize,
    /// The journal was folded before.
    folded: bool,
}

impl From<trellis_storage::Error> for Halt {
    fn from(error: trellis_storage::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Sees that nobody waits for one who is not there any more.
struct Running {
    engine: Arc<Engine>,
    is_done: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_done {
            for change in self.engine.changes.give_up() {
                change.finish(Err(Error::Stopping));
            }
        }
    }
}

/// Writes until nothing waits.
pub(super) async fn run_all(engine: Arc<Engine>) {
    let mut running = Running { engine, is_done: false };
    while !running.is_done {
        run(&running.engine).await;
        running.is_done = running.engine.changes.is_done();
    }
}

async fn run(engine: &Arc<Engine>) {
    let taken = Taken::default();
    let (judge, into) = (engine.clone(), taken.clone());
    let written =
        engine.store.write_ordered(move |tx| Box::pin(async move { write(&judge, tx, &into).await }));
    let outcome = match written.await {
        Ok(Written { reading, weight, folded }) => {
            if folded {
                engine.journaled.store(weight, Ordering::Relaxed);
            } else {
                let before = engine.journaled.fetch_add(weight, Ordering::Relaxed);
                if before + weight >= journal::FOLD_AT {
                    engine.full.notify_one();
                }
            }
            engine.install(reading).await;
            Ok(())
        }
        Err(Halt::Unwritten(reading)) => {
            engine.install(reading).await;
            Ok(())
        }
        Err(Halt::Failed(error)) => {
            if !engine.is_shared() {
                // It may have been written all the same, and nobody else would look. What fails again is seen next time.
                let _failed = engine.refresh(None).await;
            }
            Err(error)
        }
    };
    let mut taken = std::mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner));
    if outcome.is_err() && taken.is_empty() {
        // The store took no write at all, so it is no use to ask it again for those that wait.
        taken.extend(engine.changes.take_all());
    }
    for change in taken {
        change.finish(outcome.clone());
    }
}

async fn write(engine: &Engine, tx: &mut Tx, taken: &Taken) -> Result<Written, Halt> {
    let mut reading = Reading::in_tx(tx, &engine.snapshot()).await.map_err(Halt::Failed)?;
    let mut steps: Vec<Step> = Vec::new();
    let (mut count, mut bytes, mut is_alone) = (0, 0, false);
    while count < MAX_CHANGES && bytes < MAX_BYTES && !is_alone {
        // A fence that does not hold spoils the transaction, so who has one has it alone.
        let Some(mut change) = engine.changes.pop_if(|next| count == 0 || next.fence().is_none()) else {
            break;
        };
        let fence = change.fence().cloned();
        is_alone = fence.is_some();
        let mine = decide(&mut *change, fence, &mut reading, tx).await;
        // It is answered whatever comes of the transaction.
        taken.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        let mine = mine?;
        count += 1;
        bytes += mine.iter().map(Step::bytes).sum::<usize>();
        steps.extend(mine);
    }
    if steps.is_empty() {
        return Err(Halt::Unwritten(reading));
    }
    let folded = engine.journaled.load(Ordering::Relaxed) >= journal::FOLD_FIRST_AT;
    if folded {
        journal::fold(tx, engine.options.history).await?;
    }
    let weight = steps.iter().map(Step::weight).sum();
    journal::put(tx, reading.snapshot.revision, &steps).await?;
    Ok(Written { reading, weight, folded })
}

/// What one change writes; it is in the reading, then. An error is everybody's.
async fn decide(
    change: &mut dyn Waiting,
    fence: Option<Fence>,
    reading: &mut Reading,
    tx: &mut Tx,
) -> Result<Vec<Step>, trellis_storage::Error> {
    if let Some(fence) = fence {
        tx.require_live(&fence.node, fence.epoch).await?;
    }
    let revision = tx.next_revision().await?;
    let steps = change.decide(&reading.snapshot, revision);
    if steps.is_empty() {
        return Ok(steps);
    }
    if let Err(error) = reading.apply(&steps) {
        change.refuse(error);
        return Ok(Vec::new());
    }
    tx.announce(OWNER, "*").await?;
    Ok(steps)
}
