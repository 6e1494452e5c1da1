//! Discovery chains: what the entries about a service come to, as proxies of Consul's mesh read it.

mod compile;
pub(super) mod model;
#[cfg(test)]
mod tests;

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::entry;
use crate::answer::Answer;
use crate::door::Door;
use crate::health::name_of;
use crate::refusal::{Refusal, Reply};
use crate::request::{self, Object, Params, Whole};
use crate::source::Source;
use compile::{Compiler, Overrides};

pub(super) async fn plain(door: State<Door>, params: Params, service: Path<String>) -> Reply<Answer> {
    show(&door, &params, &service, Overrides::default()).await
}

pub(super) async fn overridden(
    door: State<Door>,
    params: Params,
    service: Path<String>,
    Whole(body): Whole,
) -> Reply<Answer> {
    let mut object = request::read(&body)?;
    let overrides = Overrides {
        protocol: Some(object.text("OverrideProtocol")?).filter(|protocol| !protocol.is_empty()),
        connect_timeout: object.duration("OverrideConnectTimeout")?,
        mesh_gateway: mode(object.object("OverrideMeshGateway")?)?,
    };
    show(&door, &params, &service, overrides).await
}

fn mode(object: Option<Object>) -> Reply<Option<String>> {
    let mode = object.map(|mut object| object.text("Mode")).transpose()?.unwrap_or_default();
    match mode.as_str() {
        "" => Ok(None),
        "none" | "local" | "remote" => Ok(Some(mode)),
        _ => Err(Refusal::bad(format!("Invalid mesh gateway mode {mode:?}: none, local or remote"))),
    }
}

async fn show(door: &Door, params: &Params, service: &str, overrides: Overrides) -> Reply<Answer> {
    name_of(service)?;
    let datacenter = door.options.datacenter.as_str();
    if params.get("compile-dc").is_some_and(|dc| !dc.eq_ignore_ascii_case(datacenter)) {
        return Err(Refusal::failed("No path to datacenter"));
    }
    // Any entry may be part of it.
    let source = Source::kept("");
    door.follow(params, &source).await?;
    let index = door.index_of(&source)?;
    let find = |kind: &str, name: &str| entry(door, kind, name);
    let chain: Value = Compiler::new(&find, datacenter, overrides).compile(service)?;
    Ok(Answer::json(params, &json!({"Chain": chain})).at(params, index))
}
