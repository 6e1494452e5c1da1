//! Beginning and ending sessions in the store.

use std::sync::Arc;

use tokio::time::Instant;
use trellis_storage::Tx;
use trellis_storage::members::{self, Member};

use super::draft::Draft;
use super::session::{Session, SessionId};
use super::tokens::Slot;
use crate::cells::{self, Kind};
use crate::engine::{Engine, Outcome};
use crate::error::{Error, Result};

/// The session and everything that it holds, as it is in this transaction.
async fn load(tx: &mut Tx, id: SessionId, index: u64) -> Result<Draft> {
    let mut draft = Draft::at(index);
    let text = id.to_string();
    let Some(cell) = cells::one(tx, Kind::Session, &text).await? else { return Ok(draft) };
    let (_, session) = Session::of_cell(&cell).map_err(unreadable)?;
    let Some(session) = session else { return Ok(draft) };
    draft.sessions.insert(id, session);
    for cell in cells::held_by(tx, &text).await? {
        let (key, slot) = Slot::of_cell(&cell).map_err(unreadable)?;
        draft.slots.insert(key, slot);
    }
    Ok(draft)
}

/// Ends a session; false if there is none.
pub(crate) async fn end(engine: &Engine, id: SessionId) -> Result<bool> {
    end_if(engine, id, |_| true).await
}

/// Ends a session whose time is over, if it still is when its turn comes.
pub(crate) async fn expire(engine: &Arc<Engine>, id: SessionId) -> Result<bool> {
    let judge = engine.clone();
    // A node that slept through its own end must not end what others have taken over, or are about to.
    let is_over = move |session: &Session| {
        let is_live = judge.members.as_ref().is_none_or(members::Handle::is_live);
        is_live && judge.counts(session) && judge.deadlines().is_due(id, Instant::now())
    };
    let ended = end_if(engine, id, is_over).await?;
    if !ended && !engine.snapshot().sessions.contains_key(&id) {
        engine.deadlines().stop(id);
    }
    Ok(ended)
}

async fn end_if<F>(engine: &Engine, id: SessionId, may: F) -> Result<bool>
where
    F: FnOnce(&Session) -> bool + Send + 'static,
{
    let done = engine.change(move |tx, index| {
        Box::pin(async move {
            let mut draft = load(tx, id, index).await?;
            let ended = draft.sessions.get(&id).is_some_and(may) && draft.end(id);
            Ok(Outcome { value: ended, cells: draft.cells(), records: Vec::new() })
        })
    });
    Ok(done.await?.0)
}

/// Counts a session's time on this node from now on; `None` if there is no such session.
pub(crate) async fn adopt(engine: &Engine, id: SessionId) -> Result<Option<Session>> {
    let node = engine.node.to_string();
    let done = engine.change(move |tx, index| {
        Box::pin(async move {
            let mut draft = load(tx, id, index).await?;
            let Some(mut session) = draft.sessions.remove(&id) else {
                return Ok(Outcome { value: None, cells: Vec::new(), records: Vec::new() });
            };
            if session.holder == node {
                return Ok(Outcome { value: Some(session), cells: Vec::new(), records: Vec::new() });
            }
            session.holder = node;
            session.modify_index = index;
            let cells = vec![session.to_cell()];
            Ok(Outcome { value: Some(session), cells, records: Vec::new() })
        })
    });
    Ok(done.await?.0)
}

/// Counts the time of those sessions on this node whose holder is none of the members, if this node is one and the list
/// of members has this number still; how many.
pub(crate) async fn adopt_orphans(
    engine: &Engine,
    ids: Vec<SessionId>,
    live: Arc<[Member]>,
    epoch: u64,
) -> Result<usize> {
    let node = engine.node.clone();
    let done = engine.change(move |tx, index| {
        Box::pin(async move {
            tx.require_live(&node, epoch).await?;
            let mut cells = Vec::new();
            for id in ids {
                let Some(cell) = cells::one(tx, Kind::Session, &id.to_string()).await? else { continue };
                let (_, session) = Session::of_cell(&cell).map_err(unreadable)?;
                // A client may have renewed it at another node meanwhile, or ended it.
                let is_orphan =
                    |session: &Session| !live.iter().any(|member| *member.node_id == *session.holder);
                let Some(mut session) = session.filter(is_orphan) else { continue };
                session.holder = node.to_string();
                session.modify_index = index;
                cells.push(session.to_cell());
            }
            Ok(Outcome { value: cells.len(), cells, records: Vec::new() })
        })
    });
    Ok(done.await?.0)
}

pub(super) fn unreadable(cause: String) -> Error {
    trellis_storage::Error::Decode(cause).into()
}
