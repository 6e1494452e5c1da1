//! What is done now and then: following other nodes, showing signs of life, forgetting.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};
use trellis_core::error::chain;
use trellis_storage::{FeedBatch, params};

use crate::cells::{self, Cell, Kind};
use crate::engine::{Engine, Outcome};
use crate::error::Result;
use crate::kv::sessions;
use crate::kv::tokens::Delay;

/// A node that was silent for so many beats is taken for dead.
const SILENT_BEATS: u32 = 4;
/// How long to wait after the database did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes in what other nodes write, and what was written here by somebody who did not wait for the answer.
pub(crate) async fn follow(engine: &Arc<Engine>) {
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

/// Shows that this node is there, and takes over the sessions of nodes that are not. Nothing to do on a database of
/// its own.
pub(crate) async fn beat(engine: &Arc<Engine>) {
    if !engine.is_shared {
        return std::future::pending().await;
    }
    let mut heard: HashMap<Arc<str>, (u64, Instant)> = HashMap::new();
    loop {
        let step = async {
            let node = engine.options.node.clone();
            let done = engine.change(move |_, revision| {
                let cell = Cell::new(Kind::Node, &node, revision, true, &());
                Box::pin(async move { Ok(Outcome { value: (), cells: vec![cell], records: Vec::new() }) })
            });
            done.await?;
            adopt(engine, &mut heard).await
        };
        if let Err(error) = step.await {
            warn!(error = chain(&error), "this node cannot show that it is there; it is tried again");
        }
        sleep(engine.options.beat).await;
    }
}

/// Counts the time of sessions whose node is dead from now on. They get their whole time again.
async fn adopt(engine: &Arc<Engine>, heard: &mut HashMap<Arc<str>, (u64, Instant)>) -> Result<()> {
    let snapshot = engine.snapshot();
    let now = Instant::now();
    for (node, revision) in &snapshot.nodes {
        let last = heard.entry(node.clone()).or_insert((*revision, now));
        if last.0 != *revision {
            *last = (*revision, now);
        }
    }
    for session in snapshot.sessions.values().filter(|session| session.holder != engine.options.node) {
        // One whose node never showed itself was written just now, or long ago: it is given the same patience.
        let holder: Arc<str> = session.holder.as_str().into();
        let (_, since) = *heard.entry(holder).or_insert((0, now));
        if now.duration_since(since) >= engine.options.beat * SILENT_BEATS {
            sessions::adopt(engine, session.id).await?;
        }
    }
    heard.retain(|node, _| {
        snapshot.nodes.contains_key(node) || snapshot.sessions.values().any(|s| *s.holder == **node)
    });
    Ok(())
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
        let done = engine.change(move |tx, revision| {
            Box::pin(async move {
                let mut gone = Vec::new();
                for (key, seen) in over {
                    // Another holder may have ended in the meantime, and begun a new one.
                    let cell = cells::one(tx, Kind::Delay, &key).await?;
                    if cell.is_some_and(|cell| cell.live && cell.revision == seen) {
                        gone.push(Delay::to_cell(None, &key, revision));
                    }
                }
                Ok(Outcome { value: (), cells: gone, records: Vec::new() })
            })
        });
        done.await?;
    }
    if snapshot.gone > engine.options.max_tombstones && before > snapshot.floor {
        let done = engine.change(move |tx, revision| {
            Box::pin(async move {
                let count = cells::forget(tx, before).await?;
                let floor = Cell::new(Kind::Floor, "", revision, true, &before);
                Ok(Outcome { value: count, cells: vec![floor], records: Vec::new() })
            })
        });
        let (count, _) = done.await?;
        info!(count, "deletions of long ago were forgotten");
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
