//! Transactions: the part of the snapshot that they look at, and what they make of it.

use std::sync::Arc;

use super::TxnDone;
use super::draft::Draft;
use super::ops::TxnOp;
use crate::changes::Outcome;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::snapshot::Snapshot;

/// Applies all operations or none. Without one that writes, the snapshot answers.
pub(crate) async fn run(engine: &Arc<Engine>, ops: Vec<TxnOp>) -> Result<TxnDone> {
    let limit = engine.options.max_ops;
    if ops.len() > limit {
        return Err(Error::TooManyOps { count: ops.len(), limit });
    }
    for (index, op) in ops.iter().enumerate() {
        op.check(&format!("/{index}"))?;
    }
    if !ops.iter().any(TxnOp::writes) {
        let mut draft = draft(engine, &engine.snapshot(), &ops, 0);
        return draft.run(&ops).map_err(Error::Txn);
    }
    check_room(engine, &ops)?;
    let judge = engine.clone();
    let done = engine.change(move |snapshot, index| {
        let mut draft = draft(&judge, snapshot, &ops, index);
        let value = draft.run(&ops).map_err(Error::Txn)?;
        Ok(Outcome { value, steps: draft.steps() })
    });
    Ok(done.await?.0)
}

fn check_room(engine: &Engine, ops: &[TxnOp]) -> Result<()> {
    let snapshot = engine.snapshot();
    let limit = engine.options.max_kv_keys;
    if snapshot.slots.len() - snapshot.gone + ops.len() <= limit {
        return Ok(());
    }
    let adds = |op: &&TxnOp| {
        matches!(op, TxnOp::Set { .. } | TxnOp::Cas { .. } | TxnOp::Lock { .. })
            && snapshot.entry(op.scope().0).is_none()
    };
    let new = ops.iter().filter(adds).count();
    if new > 0 && snapshot.slots.len() - snapshot.gone + new > limit {
        return Err(Error::Full(format!(
            "{limit} keys are kept and no more fit; raise [config] max_kv_keys"
        )));
    }
    Ok(())
}

/// What the operations may touch, for a change of this revision.
fn draft(engine: &Engine, snapshot: &Snapshot, ops: &[TxnOp], index: u64) -> Draft {
    let mut draft = Draft::at(index);
    draft.floor = snapshot.floor;
    for op in ops {
        let (name, is_prefix) = op.scope();
        if is_prefix {
            let under = snapshot.slots_under(name).map(|(key, slot)| (key.clone(), slot.clone()));
            draft.slots.extend(under);
        } else if let Some(slot) = snapshot.slots.get(&**name) {
            draft.slots.insert(name.clone(), (**slot).clone());
        }
        let TxnOp::Lock { key, session, .. } = op else { continue };
        if let Some(found) = snapshot.sessions.get(session) {
            draft.sessions.insert(*session, (**found).clone());
        }
        if let Some(delay) = snapshot.delays.get(key) {
            draft.delays.insert(key.clone(), engine.runs(key, delay));
        }
    }
    draft
}
