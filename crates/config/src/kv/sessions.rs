//! Ending sessions, and taking them over.

use std::sync::Arc;

use tokio::time::Instant;
use trellis_storage::members::Member;

use super::draft::Draft;
use super::session::{Session, SessionId};
use crate::adoption;
use crate::changes::{Fence, Outcome};
use crate::engine::Engine;
use crate::error::Result;
use crate::journal::Step;
use crate::snapshot::Snapshot;

/// The session and everything that it holds.
fn draft(snapshot: &Snapshot, id: SessionId, index: u64) -> Draft {
    let mut draft = Draft::at(index);
    if let Some(session) = snapshot.sessions.get(&id) {
        draft.sessions.insert(id, (**session).clone());
        draft.slots.extend(snapshot.held_by(id).map(|(key, slot)| (key.clone(), slot.clone())));
    }
    draft
}

/// Ends a session; false if there is none.
pub(crate) async fn end(engine: &Arc<Engine>, id: SessionId) -> Result<bool> {
    end_if(engine, id, |_| true).await
}

/// Ends a session whose time is over, if it still is when its turn comes. From that decision on nobody renews it in memory:
/// see [`adopt`].
pub(crate) async fn expire(engine: &Arc<Engine>, id: SessionId) -> Result<bool> {
    let judge = engine.clone();
    // A node that slept through its own end must not end what others have taken over, or are about to.
    let is_over = move |session: &Session| {
        adoption::is_alone(&judge)
            && judge.counts(session)
            && judge.deadlines().end_if_due(id, Instant::now())
    };
    let ended = end_if(engine, id, is_over).await?;
    if !ended && !engine.snapshot().sessions.contains_key(&id) {
        engine.deadlines().stop(id);
    }
    Ok(ended)
}

async fn end_if<F>(engine: &Arc<Engine>, id: SessionId, may: F) -> Result<bool>
where
    F: FnOnce(&Session) -> bool + Send + 'static,
{
    let done = engine.change(move |snapshot, index| {
        let mut draft = draft(snapshot, id, index);
        let ended = draft.sessions.get(&id).is_some_and(may) && draft.end(id);
        Ok(Outcome { value: ended, steps: draft.steps() })
    });
    Ok(done.await?.0)
}

/// Starts a session's time again, and counts it on this node from now on, if it has one; `None` if there is no such session.
/// It is decided in the order in which sessions end, so that none is renewed which ends all the same.
pub(crate) async fn adopt(engine: &Arc<Engine>, id: SessionId) -> Result<Option<Session>> {
    let judge = engine.clone();
    let done = engine.change(move |snapshot, index| {
        let Some(session) = snapshot.sessions.get(&id) else { return Ok(Outcome::unchanged(None)) };
        let mut session = (**session).clone();
        judge.deadlines().renew_found(id, Instant::now());
        if *session.holder == *judge.node || session.ttl().is_none() {
            return Ok(Outcome::unchanged(Some(session)));
        }
        session.holder = judge.node.to_string();
        session.modify_index = index;
        let steps = vec![Step::Cell(session.to_cell())];
        Ok(Outcome { value: Some(session), steps })
    });
    Ok(done.await?.0)
}

/// Counts the time of those sessions on this node whose holder is none of the members, if this node is one and the list
/// of members has this number still; how many.
pub(crate) async fn adopt_orphans(
    engine: &Arc<Engine>,
    ids: Vec<SessionId>,
    live: Arc<[Member]>,
    epoch: u64,
) -> Result<usize> {
    let node = engine.node.clone();
    let fence = Fence { node: node.clone(), epoch };
    let done = engine.change_fenced(fence, move |snapshot, index| {
        // A client may have renewed it at another node meanwhile, or ended it.
        let is_orphan =
            |session: &&Arc<Session>| !live.iter().any(|member| *member.node_id == *session.holder);
        let found = ids.iter().filter_map(|id| snapshot.sessions.get(id)).filter(is_orphan);
        let steps: Vec<Step> = found
            .map(|session| {
                let adopted =
                    Session { holder: node.to_string(), modify_index: index, ..(**session).clone() };
                Step::Cell(adopted.to_cell())
            })
            .collect();
        Ok(Outcome { value: steps.len(), steps })
    });
    Ok(done.await?.0)
}
