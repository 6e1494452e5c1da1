//! Transactions on keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::json;
use trellis_config::Error;
use trellis_config::kv::{Entry, SessionId, TxnOp};

use super::{done, rolled_back};
use crate::answer::Answer;
use crate::door::Door;
use crate::refusal::{Refusal, Reply};
use crate::request::{Object, Params};
use crate::wire::KvRow;

pub(super) async fn run(door: &Door, params: &Params, ops: Vec<Object>) -> Reply<Answer> {
    let ops = ops.into_iter().map(read).collect::<Reply<Vec<_>>>()?;
    let reads: Vec<bool> = ops.iter().map(is_read).collect();
    match door.config.kv_txn(ops).await {
        Ok(made) => {
            let of_op = |(entries, with_value): (Vec<Entry>, &bool)| {
                let with_value = *with_value;
                entries.into_iter().map(move |entry| json!({"KV": KvRow { entry, with_value }}))
            };
            let results: Vec<_> = made.results.into_iter().zip(&reads).flat_map(of_op).collect();
            Ok(done(params, &results))
        }
        Err(Error::Txn(errors)) => {
            Ok(rolled_back(params, errors.into_iter().map(|error| (error.index, error.refused.to_string()))))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the client wants to see what is there; of what it wrote, it knows the value.
fn is_read(op: &TxnOp) -> bool {
    matches!(op, TxnOp::Get { .. } | TxnOp::GetOrEmpty { .. } | TxnOp::GetTree { .. })
}

fn read(mut object: Object) -> Reply<TxnOp> {
    let verb = object.text("Verb")?;
    let key = object.text("Key")?.into();
    let value = object.text("Value")?;
    let value = STANDARD.decode(value).map_err(|_| Refusal::bad("Value of an operation is not base64"))?;
    let value = Bytes::from(value);
    let flags = object.number("Flags")?.unwrap_or(0);
    let index = object.number("Index")?.unwrap_or(0);
    let session = object.text("Session")?;
    let session = || {
        let invalid = |_| Refusal::failed(format!("invalid session {session:?}"));
        session.parse::<SessionId>().map_err(invalid)
    };
    Ok(match verb.as_str() {
        "set" => TxnOp::Set { key, value, flags },
        "cas" => TxnOp::Cas { key, value, flags, index },
        "lock" => TxnOp::Lock { key, value, flags, session: session()? },
        "unlock" => TxnOp::Unlock { key, value, flags, session: session()? },
        "get" => TxnOp::Get { key },
        "get-or-empty" => TxnOp::GetOrEmpty { key },
        "get-tree" => TxnOp::GetTree { prefix: key },
        "check-index" => TxnOp::CheckIndex { key, index },
        "check-session" => TxnOp::CheckSession { key, session: session()? },
        "check-not-exists" => TxnOp::CheckNotExists { key },
        "delete" => TxnOp::Delete { key },
        "delete-tree" => TxnOp::DeleteTree { prefix: key },
        "delete-cas" => TxnOp::DeleteCas { key, index },
        other => return Err(Refusal::bad(format!("unknown KV verb {other:?}"))),
    })
}
