//! Transactions: what they look at is read within the store's transaction, and decided there.

use std::sync::Arc;

use trellis_storage::Tx;

use super::TxnDone;
use super::draft::Draft;
use super::ops::TxnOp;
use super::session::Session;
use super::sessions::unreadable;
use super::tokens::{Delay, Slot};
use crate::cells::{self, Kind};
use crate::engine::{Engine, Outcome};
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
        let mut draft = of_snapshot(&engine.snapshot(), &ops);
        return draft.run(&ops).map_err(Error::Txn);
    }
    check_room(engine, &ops)?;
    let judge = engine.clone();
    let done = engine.change(move |tx, index| {
        Box::pin(async move {
            let mut draft = load(&judge, tx, &ops, index).await?;
            let value = draft.run(&ops).map_err(Error::Txn)?;
            Ok(Outcome { value, cells: draft.cells(), records: Vec::new() })
        })
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

fn of_snapshot(snapshot: &Snapshot, ops: &[TxnOp]) -> Draft {
    let mut draft = Draft::default();
    for op in ops {
        let (name, is_prefix) = op.scope();
        if is_prefix {
            let under = snapshot.slots_under(name).map(|(key, slot)| (key.clone(), slot.clone()));
            draft.slots.extend(under);
        } else if let Some(slot) = snapshot.slots.get(&**name) {
            draft.slots.insert(name.clone(), (**slot).clone());
        }
    }
    draft
}

async fn load(engine: &Engine, tx: &mut Tx, ops: &[TxnOp], index: u64) -> Result<Draft> {
    let mut draft = Draft::at(index);
    for op in ops {
        let (name, is_prefix) = op.scope();
        let cells = if is_prefix {
            cells::under(tx, Kind::Kv, name).await?
        } else {
            cells::one(tx, Kind::Kv, name).await?.into_iter().collect()
        };
        for cell in cells {
            let (key, slot) = Slot::of_cell(&cell).map_err(unreadable)?;
            draft.slots.insert(key, slot);
        }
        let TxnOp::Lock { key, session: id, .. } = op else { continue };
        if let Some(cell) = cells::one(tx, Kind::Floor, "").await? {
            draft.floor = cell.meta().map_err(unreadable)?;
        }
        if let Some(cell) = cells::one(tx, Kind::Session, &id.to_string()).await?
            && let (id, Some(session)) = Session::of_cell(&cell).map_err(unreadable)?
        {
            draft.sessions.insert(id, session);
        }
        if let Some(cell) = cells::one(tx, Kind::Delay, key).await?
            && let (key, Some(delay)) = Delay::of_cell(&cell).map_err(unreadable)?
        {
            let runs = engine.runs(&key, &delay);
            draft.delays.insert(key, runs);
        }
    }
    Ok(draft)
}
