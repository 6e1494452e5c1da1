//! What is done now and then: following other nodes, forgetting.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};
use trellis_core::error::chain;
use trellis_storage::{FeedBatch, params};

use crate::cells::{self, Cell, Kind};
use crate::changes::Outcome;
use crate::engine::Engine;
use crate::error::Result;
use crate::journal::Step;
use crate::kv::tokens::Delay;

/// How long to wait after the database did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes in what other nodes write. A file has no other writer, and what is written here is shown by who writes it.
pub(crate) async fn follow(engine: &Arc<Engine>) {
    if !engine.is_shared() {
        return;
    }
    loop {
        if let Err(error) = follow_feed(engine).await {
            warn!(error = chain(&error), "changes of other nodes cannot be read; it is tried again");
        }
        sleep(PAUSE).await;
    }
}

async fn follow_feed(engine: &Arc<Engine>) -> Result<()> {
    let mut feed = engine.store.feed(engine.snapshot().revision).await?;
    loop {
        match feed.next().await? {
            FeedBatch::Changes { changes, .. } => {
                let ours = changes.iter().rev().find(|change| &*change.topic == cells::OWNER);
                if let Some(last) = ours {
                    engine.refresh(Some(last.revision)).await?;
                }
            }
            FeedBatch::Resync { .. } => engine.reload().await?,
        }
    }
}

/// Removes lock delays that are over, deletions that are too many, and the oldest of the audit. `before` is the
/// revision at the last time, up to which deletions may be forgotten: clients that ask regularly have seen them.
pub(crate) async fn tidy(engine: &Arc<Engine>, before: u64) -> Result<()> {
    let snapshot = engine.snapshot();
    let over: Vec<(Arc<str>, u64)> = snapshot
        .delays
        .iter()
        .filter(|(key, delay)| !engine.runs(key, delay))
        .map(|(key, delay)| (key.clone(), delay.revision))
        .collect();
    if !over.is_empty() {
        let done = engine.change(move |snapshot, revision| {
            // Another holder may have ended in the meantime, and begun a new one.
            let still = |(key, seen): &&(Arc<str>, u64)| {
                snapshot.delays.get(key).is_some_and(|delay| delay.revision == *seen)
            };
            let gone = over.iter().filter(still).map(|(key, _)| Delay::to_cell(None, key, revision));
            Ok(Outcome { value: (), steps: gone.map(Step::Cell).collect() })
        });
        done.await?;
    }
    if snapshot.tombstones() > engine.options.max_tombstones && before > snapshot.floor {
        let done = engine.change(move |_, revision| {
            let floor = Cell::new(Kind::Floor, "", revision, true, &before);
            Ok(Outcome { value: (), steps: vec![Step::Forget(before), Step::Cell(floor)] })
        });
        done.await?;
        engine.settle().await?;
        info!(revision = before, "deletions of long ago were forgotten");
    }
    let most = i64::from(engine.options.max_audit);
    let held: Option<i64> =
        engine.store.fetch_one("SELECT max(id) - min(id) FROM config_audit", params![]).await?;
    if held.is_none_or(|held| held < most) {
        return Ok(());
    }
    let sql = "DELETE FROM config_audit WHERE id <= (SELECT max(id) FROM config_audit) - $1";
    engine.store.execute(sql, params![most]).await?;
    Ok(())
}
