//! Sessions of nodes that are gone: another node counts their time from then on.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};
use trellis_core::error::chain;
use trellis_storage::members;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::kv::{SessionId, sessions};

/// So many sessions are taken over in one transaction.
const BATCH: usize = 256;

/// Takes over sessions when nodes come or go, and now and then, since a session may become known later than the end of
/// its node. Nothing to do on a database of one's own.
pub(crate) async fn run(engine: &Arc<Engine>) {
    let Some(members) = engine.members.clone() else {
        return std::future::pending().await;
    };
    let mut live = members.live();
    loop {
        live.mark_unchanged();
        be_sure(engine, &members).await;
        match adopt(engine, &members).await {
            Ok(0) => {}
            Ok(count) => {
                info!(count, "the time of sessions of nodes that are gone is counted here from now on");
            }
            Err(error) => {
                warn!(error = chain(&error), "sessions of nodes that are gone wait to be taken over");
            }
        }
        tokio::select! {
            changed = live.changed() => if changed.is_err() { sleep(engine.options.adopt_every).await },
            () = sleep(engine.options.adopt_every) => {}
        }
    }
}

/// Whether nobody else can be counting the time of what this node counts. Others take its sessions over only when it is off
/// the list of members; if that has happened, it has been read since who counts them now.
pub(crate) fn is_alone(engine: &Engine) -> bool {
    let Some(members) = &engine.members else { return true };
    members.term().is_some_and(|term| engine.deadlines().is_sure_of(term))
}

/// Takes in who counts what, once in each term.
async fn be_sure(engine: &Engine, members: &members::Handle) {
    let Some(term) = members.term() else { return };
    if engine.deadlines().is_sure_of(term) {
        return;
    }
    match engine.refresh(None).await {
        Ok(()) => engine.deadlines().be_sure_of(term, Instant::now()),
        Err(error) => debug!(error = chain(&error), "who counts which session is asked again"),
    }
}

/// Takes over the sessions whose node is no member any more, and which fall to this one. They get their whole time again:
/// their clients may have renewed them where nobody remembers it.
async fn adopt(engine: &Arc<Engine>, members: &members::Handle) -> Result<usize> {
    let mut by_epoch: BTreeMap<u64, Vec<SessionId>> = BTreeMap::new();
    let live = members.live().borrow().clone();
    for session in engine.snapshot().sessions.values().filter(|session| session.ttl().is_some()) {
        let is_orphan = !live.iter().any(|member| *member.node_id == *session.holder);
        // The list may have changed since; the transaction finds out.
        if is_orphan && let Some(epoch) = members.claim(&session.id.to_string()) {
            by_epoch.entry(epoch).or_default().push(session.id);
        }
    }
    let mut count = 0;
    for (epoch, ids) in by_epoch {
        for batch in ids.chunks(BATCH) {
            match sessions::adopt_orphans(engine, batch.to_vec(), live.clone(), epoch).await {
                Ok(adopted) => count += adopted,
                // Another list, another division: the change of the list has us look again.
                Err(Error::Store(trellis_storage::Error::NotLive(_))) => return Ok(count),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(count)
}
