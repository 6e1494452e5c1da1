//! `/v1/session`: who holds locks.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, put};
use serde_json::{Value, json};
use trellis_config::kv::{Behavior, DEFAULT_LOCK_DELAY, NewSession, Read, Session, SessionId, Topic};
use trellis_registry::{CheckStatus, NODE_CHECK};

use crate::answer::Answer;
use crate::door::Door;
use crate::health::name_of;
use crate::refusal::{Refusal, Reply};
use crate::request::{self, Object, Params, Whole, parse_duration};
use crate::wire::SessionRow;

pub(crate) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/session/create", put(create))
        .route("/v1/session/destroy/{id}", put(destroy))
        .route("/v1/session/renew/{id}", put(renew))
        .route("/v1/session/info/{id}", get(info))
        .route("/v1/session/node/{node}", get(of_node))
        .route("/v1/session/list", get(list))
}

async fn create(State(door): State<Door>, params: Params, Whole(body): Whole) -> Reply<Answer> {
    let mut object = request::read(&body)?;
    let session = read(&door, &params, &mut object)?;
    let made = door.config.session_create(session).await?;
    Ok(Answer::json(&params, &json!({"ID": made.id.to_string()})))
}

fn read(door: &Door, params: &Params, object: &mut Object) -> Reply<NewSession> {
    let node = match object.text("Node")? {
        text if text.is_empty() => door.node().clone(),
        text => name_of(&text)?,
    };
    if door.registry.node(&node).is_none() {
        return Err(Refusal::failed("Missing node registration"));
    }
    // Whoever speaks of checks of the node has said all there is to say of them, also with nothing: see `FixupChecks` in
    // Consul's agent. Checks of services come to that.
    let says = object.has("Checks") || object.has("NodeChecks");
    let mut checks = object.texts("Checks")?;
    checks.extend(object.texts("NodeChecks")?);
    if !says && node == *door.node() {
        checks.push(NODE_CHECK.into());
    }
    for check in object.objects("ServiceChecks")? {
        let mut check = check;
        checks.push(check.text("ID")?);
    }
    let namespace = params.namespace()?;
    for id in &checks {
        match door.registry.find_check(&namespace, &node, id) {
            None => return Err(Refusal::failed(format!("Missing check {id:?} registration"))),
            Some(check) if check.status == CheckStatus::Critical => {
                return Err(Refusal::failed(format!("Check {id:?} is in critical state")));
            }
            Some(_) => {}
        }
    }
    let behavior = match object.text("Behavior")?.as_str() {
        "" | "release" => Behavior::Release,
        "delete" => Behavior::Delete,
        other => return Err(Refusal::bad(format!("Invalid Behavior setting {other:?}"))),
    };
    Ok(NewSession {
        name: object.text("Name")?,
        node: node.to_string(),
        checks: checks.into_iter().collect(),
        behavior,
        ttl: ttl(&object.text("TTL")?)?,
        lock_delay: lock_delay(object.take("LockDelay"))?,
    })
}

fn ttl(text: &str) -> Reply<Option<Duration>> {
    if text.is_empty() {
        return Ok(None);
    }
    let ttl = parse_duration(text).ok_or_else(|| {
        Refusal::failed(format!("Invalid Session TTL '{text}': write a duration such as 30s"))
    })?;
    Ok((!ttl.is_zero()).then_some(ttl))
}

/// A text; or a number of seconds, or of nanoseconds if it is too large for seconds.
fn lock_delay(value: Option<Value>) -> Reply<Duration> {
    let wrong = || Refusal::bad("Request decode failed: LockDelay is a duration such as 15s");
    match value {
        None => Ok(DEFAULT_LOCK_DELAY),
        Some(Value::String(text)) => parse_duration(&text).ok_or_else(wrong),
        Some(Value::Number(number)) => {
            let number = number.as_f64().filter(|n| (0.0..1e18).contains(n)).ok_or_else(wrong)?;
            Ok(if number < 1000.0 {
                Duration::from_secs_f64(number)
            } else {
                Duration::from_nanos(number as u64)
            })
        }
        Some(_) => Err(wrong()),
    }
}

async fn destroy(State(door): State<Door>, params: Params, Path(id): Path<String>) -> Reply<Answer> {
    if let Ok(id) = id.parse::<SessionId>() {
        door.config.session_destroy(id).await?;
    }
    Ok(Answer::json(&params, &true))
}

async fn renew(State(door): State<Door>, params: Params, Path(id): Path<String>) -> Reply<Answer> {
    let found = match id.parse::<SessionId>() {
        Ok(id) => door.config.session_renew(id).await?,
        Err(_) => None,
    };
    match found {
        Some(session) => Ok(Answer::json(&params, &[SessionRow(session)])),
        None => Err(Refusal::missing(format!("Session id '{id}' not found"))),
    }
}

async fn info(State(door): State<Door>, params: Params, Path(id): Path<String>) -> Reply<Answer> {
    follow(&door, &params).await?;
    let found = match id.parse::<SessionId>() {
        Ok(id) => door.config.session_info(id),
        Err(_) => Read { value: None, index: door.config.kv_index(&Topic::Sessions) },
    };
    let sessions = found.value.into_iter().collect();
    Ok(rows(&params, Read { value: sessions, index: found.index }))
}

async fn of_node(State(door): State<Door>, params: Params, Path(node): Path<String>) -> Reply<Answer> {
    follow(&door, &params).await?;
    Ok(rows(&params, door.config.session_list(Some(&node))))
}

async fn list(State(door): State<Door>, params: Params) -> Reply<Answer> {
    follow(&door, &params).await?;
    Ok(rows(&params, door.config.session_list(None)))
}

async fn follow(door: &Door, params: &Params) -> Reply<()> {
    if params.has("consistent") {
        door.config.sync().await?;
    }
    if let Some(index) = params.index() {
        door.config.watch_topic(&Topic::Sessions, index, door.wait(params)).await?;
    }
    Ok(())
}

fn rows(params: &Params, found: Read<Vec<Session>>) -> Answer {
    let rows: Vec<_> = found.value.into_iter().map(SessionRow).collect();
    Answer::json(params, &rows).at(params, found.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_delays_are_texts_seconds_or_nanoseconds() {
        let read = |value: Value| lock_delay(Some(value)).map_err(|refusal| refusal.status.as_u16());
        assert_eq!(read(json!("1ms")), Ok(Duration::from_millis(1)));
        assert_eq!(read(json!(20)), Ok(Duration::from_secs(20)));
        assert_eq!(read(json!(15_000_000_000_u64)), Ok(Duration::from_secs(15)));
        assert_eq!(lock_delay(None), Ok(DEFAULT_LOCK_DELAY));
        for bad in [json!("soon"), json!(-1), json!([]), json!(1e300)] {
            assert_eq!(read(bad), Err(400));
        }
    }
}
