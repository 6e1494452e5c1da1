//! `/v1/txn`: several operations, all or none.
//!
//! Keys have transactions. The registry has none, so of nodes, services and checks a transaction may read as much as it
//! likes and change one thing; that alone is all or none.

mod catalog;
mod keys;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::put;
use serde_json::{Value, json};
use trellis_config::Error;

use crate::answer::Answer;
use crate::door::Door;
use crate::refusal::{Refusal, Reply};
use crate::request::{Object, Params, Whole};

pub(crate) fn routes() -> Router<Door> {
    Router::new().route("/v1/txn", put(run))
}

async fn run(State(door): State<Door>, params: Params, Whole(body): Whole) -> Reply<Answer> {
    let decode = |error: serde_json::Error| Refusal::bad(format!("Failed to parse body: {error}"));
    let ops: Vec<Value> = serde_json::from_slice(&body).map_err(decode)?;
    let limit = door.config.options().max_ops;
    if ops.len() > limit {
        return Err(Error::TooManyOps { count: ops.len(), limit }.into());
    }
    let mut ops = ops.into_iter().map(|op| Object::new("an operation", op)).collect::<Reply<Vec<_>>>()?;
    let mut of_keys = Vec::new();
    for op in &mut ops {
        of_keys.extend(op.object("KV")?);
    }
    let count = of_keys.len();
    if count == ops.len() {
        return keys::run(&door, &params, of_keys).await;
    }
    if count > 0 {
        return Err(Refusal::unsupported(
            "a transaction is either about keys or about nodes, services and checks: they are kept apart",
        ));
    }
    catalog::run(&door, &params, ops).await
}

/// All was done.
fn done(params: &Params, results: &[Value]) -> Answer {
    Answer::json(params, &json!({"Results": results, "Errors": null}))
}

/// Nothing was done: which operations are the reason.
fn rolled_back(params: &Params, errors: impl IntoIterator<Item = (usize, String)>) -> Answer {
    let errors: Vec<_> =
        errors.into_iter().map(|(index, what)| json!({"OpIndex": index, "What": what})).collect();
    Answer::json(params, &json!({"Results": null, "Errors": errors})).with_status(StatusCode::CONFLICT)
}
