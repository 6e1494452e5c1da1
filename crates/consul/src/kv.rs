//! `/v1/kv`: keys.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use trellis_config::kv::{MAX_VALUE, Put, SessionId, Topic};

use crate::answer::Answer;
use crate::door::Door;
use crate::refusal::{Refusal, Reply};
use crate::request::{Params, Whole, path_rest};
use crate::wire::KvRow;

pub(crate) fn routes() -> Router<Door> {
    let all = || get(read).put(write).delete(remove);
    Router::new().route("/v1/kv", all()).route("/v1/kv/", all()).route("/v1/kv/{*key}", all())
}

fn key_of(uri: &Uri) -> Reply<String> {
    path_rest(uri, "/v1/kv/")
}

async fn read(State(door): State<Door>, params: Params, uri: Uri) -> Reply<Answer> {
    let key = key_of(&uri)?;
    let (keys, recurse) = (params.has("keys"), params.flag("recurse")?);
    let many = keys || recurse;
    if key.is_empty() && !many {
        return Err(Refusal::bad("Missing key name"));
    }
    let topic = if many { Topic::Prefix(key.as_str().into()) } else { Topic::Key(key.as_str().into()) };
    if params.has("consistent") {
        door.config.sync().await?;
    }
    if let Some(index) = params.index() {
        door.config.watch_topic(&topic, index, door.wait(&params)).await?;
    }
    let missing = |index| Answer::empty().with_status(StatusCode::NOT_FOUND).at(&params, index);
    if keys {
        let found = door.config.kv_keys(&key, params.get("separator"));
        if found.value.is_empty() {
            return Ok(missing(found.index));
        }
        return Ok(Answer::json(&params, &found.value).at(&params, found.index));
    }
    let (entries, index) = if recurse {
        let found = door.config.kv_list(&key);
        (found.value, found.index)
    } else {
        let found = door.config.kv_get(&key);
        (found.value.into_iter().collect(), found.index)
    };
    if entries.is_empty() {
        return Ok(missing(index));
    }
    if params.flag("raw")? && !recurse {
        let value = entries.into_iter().next().map(|entry| entry.value).unwrap_or_default();
        return Ok(Answer::raw(value).at(&params, index));
    }
    let rows: Vec<_> = entries.into_iter().map(|entry| KvRow { entry, with_value: true }).collect();
    Ok(Answer::json(&params, &rows).at(&params, index))
}

async fn write(State(door): State<Door>, params: Params, uri: Uri, Whole(value): Whole) -> Reply<Answer> {
    let key = key_of(&uri)?;
    if key.is_empty() {
        return Err(Refusal::bad("Missing key name"));
    }
    one_of(&params, &["cas", "acquire", "release"])?;
    if value.len() > MAX_VALUE {
        return Err(Refusal::too_large(MAX_VALUE));
    }
    let acquire = match params.get("acquire") {
        None => None,
        Some(text) => Some(
            text.parse::<SessionId>().map_err(|_| Refusal::failed(format!("invalid session {text:?}")))?,
        ),
    };
    let release = match params.get("release").map(str::parse::<SessionId>) {
        // Whoever this is holds no lock.
        Some(Err(_)) => return Ok(Answer::json(&params, &false)),
        Some(Ok(id)) => Some(id),
        None => None,
    };
    let (flags, cas) = (params.number("flags")?.unwrap_or(0), params.number("cas")?);
    let done = door.config.kv_put(&key, Put { value, flags, cas, acquire, release }).await?;
    Ok(Answer::json(&params, &done))
}

async fn remove(State(door): State<Door>, params: Params, uri: Uri) -> Reply<Answer> {
    let key = key_of(&uri)?;
    one_of(&params, &["recurse", "cas"])?;
    if params.flag("recurse")? {
        door.config.kv_delete_tree(&key).await?;
        return Ok(Answer::json(&params, &true));
    }
    if key.is_empty() {
        return Err(Refusal::bad("Missing key name"));
    }
    let done = door.config.kv_delete(&key, params.number("cas")?).await?;
    Ok(Answer::json(&params, &done))
}

fn one_of(params: &Params, names: &[&str]) -> Reply<()> {
    let there: Vec<&str> = names.iter().copied().filter(|name| params.has(name)).collect();
    if there.len() > 1 {
        return Err(Refusal::bad(format!("Conflicting flags: {}", there.join("&"))));
    }
    Ok(())
}
