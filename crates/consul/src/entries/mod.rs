//! `/v1/config`: configuration entries. They are kept, compared and set, listed and followed. What Consul makes of some
//! of them can be asked for: the services of gateways and discovery chains. Nothing here routes by them: the gateway and
//! the mesh go by trellis.toml.

mod chain;
pub(crate) mod gateways;
mod intentions;
mod kinds;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::door::{Door, filtered};
use crate::kept::{Kept, part};
use crate::refusal::{Refusal, Reply};
use crate::request::{Params, Whole};
use crate::source::Source;

pub(crate) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/config", put(write))
        .route("/v1/config/{kind}", get(list))
        .route("/v1/config/{kind}/{*name}", get(read).delete(remove))
        .route("/v1/discovery-chain/{*service}", get(chain::plain).post(chain::overridden))
        .merge(intentions::routes())
}

/// Where an entry is kept.
fn path_of(kind: &str, name: &str) -> String {
    format!("{}/{}", part(kind), part(name))
}

/// The entry of a kind with a name.
fn entry(door: &Door, kind: &str, name: &str) -> Reply<Option<Kept>> {
    door.kept(&path_of(kind, name))
}

async fn write(State(door): State<Door>, params: Params, Whole(body): Whole) -> Reply<Answer> {
    let given: Map<String, Value> = serde_json::from_slice(&body)
        .map_err(|error| Refusal::bad(format!("Request decoding failed: {error}")))?;
    let entry = kinds::read(given)?;
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let path = path_of(text("Kind"), text("Name"));
    let done = door.keep(&path, entry, params.number("cas")?).await?;
    Ok(Answer::json(&params, &done))
}

async fn read(
    State(door): State<Door>,
    params: Params,
    Path((kind, name)): Path<(String, String)>,
) -> Reply<Answer> {
    kinds::check_kind(&kind)?;
    let path = path_of(&kind, &name);
    // Others whose name begins so are waited for as well, which is no harm.
    let source = Source::kept(path.as_str());
    door.follow(&params, &source).await?;
    let index = door.index_of(&source)?;
    let answer = match door.kept(&path)? {
        Some(kept) => Answer::json(&params, &kept.shown()),
        None => Answer::text(format!("Config entry not found for {kind:?} / {name:?}"))
            .with_status(StatusCode::NOT_FOUND),
    };
    Ok(answer.at(&params, index))
}

async fn list(State(door): State<Door>, params: Params, Path(kind): Path<String>) -> Reply<Answer> {
    kinds::check_kind(&kind)?;
    params.filter()?;
    let path = format!("{}/", part(&kind));
    let source = Source::kept(path.as_str());
    door.follow(&params, &source).await?;
    let index = door.index_of(&source)?;
    let shown: Vec<_> = door.kept_under(&path)?.into_iter().map(Kept::shown).collect();
    Ok(filtered(&params, shown)?.at(&params, index))
}

/// With `cas` whether it was removed, else an object with nothing in it, as Consul has it.
async fn remove(
    State(door): State<Door>,
    params: Params,
    Path((kind, name)): Path<(String, String)>,
) -> Reply<Answer> {
    kinds::check_kind(&kind)?;
    let cas = params.number("cas")?;
    let done = door.forget(&path_of(&kind, &name), cas).await?;
    Ok(if cas.is_some() { Answer::json(&params, &done) } else { Answer::json(&params, &json!({})) })
}
