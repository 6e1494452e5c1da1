//! The health of instances on the own node, in a status code: 200, 429 for a warning, 503 when it is critical.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use trellis_registry::{CheckStatus, Entry};

use crate::answer::Answer;
use crate::door::Door;
use crate::health::service_of;
use crate::refusal::{Refusal, Reply};
use crate::request::Params;
use crate::wire::{AgentService, checks_of, node_checks, worst};

fn code(health: CheckStatus) -> StatusCode {
    match health {
        CheckStatus::Passing => StatusCode::OK,
        CheckStatus::Warning => StatusCode::TOO_MANY_REQUESTS,
        CheckStatus::Critical => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What is known of an instance, and the worst of it.
fn row(door: &Door, entry: &Entry) -> (CheckStatus, Value) {
    let mut checks = checks_of(entry);
    // Maintenance of the node counts; whether the node is there, nobody asks its own agent.
    let node = node_checks(&entry.node).into_iter().filter(|row| &*row.id == "_node_maintenance");
    checks.extend(node);
    let health = worst(&checks);
    let datacenter: Arc<str> = door.options.datacenter.as_str().into();
    let service = AgentService(entry.instance.clone(), datacenter);
    (health, json!({"AggregatedStatus": health.as_str(), "Service": service, "Checks": checks}))
}

fn answer(params: &Params, health: CheckStatus, body: &Value) -> Answer {
    let answer = match params.get("format") {
        Some("text") => Answer::text(health.as_str()),
        _ => Answer::json(params, body),
    };
    answer.with_status(code(health))
}

pub(super) async fn by_id(State(door): State<Door>, params: Params, Path(id): Path<String>) -> Reply<Answer> {
    let missing = || Refusal::missing(format!("ServiceId {id} not found"));
    let key = door.own_key(&params, &id).map_err(|_| missing())?;
    let entry = door.registry.find(&key).ok_or_else(missing)?;
    let (health, body) = row(&door, &entry);
    Ok(answer(&params, health, &body))
}

pub(super) async fn by_name(
    State(door): State<Door>,
    params: Params,
    Path(name): Path<String>,
) -> Reply<Answer> {
    let snapshot = door.registry.snapshot(&service_of(&params, &name)?);
    let own = snapshot.entries.iter().filter(|entry| entry.key().node == *door.node());
    let (healths, rows): (Vec<_>, Vec<_>) = own.map(|entry| row(&door, entry)).unzip();
    let Some(health) = healths.into_iter().max() else {
        return Err(Refusal::missing(format!("ServiceName {name} Not Found")));
    };
    Ok(answer(&params, health, &rows.into()))
}
