//! `/v1/health`: instances and what is known of them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use trellis_registry::{CheckStatus, Entry, Handle, Name, ServiceKey, Topic};

use crate::answer::Answer;
use crate::door::{Door, filtered};
use crate::entries::gateways;
use crate::itself::source_of;
use crate::mesh;
use crate::refusal::{Refusal, Reply};
use crate::request::Params;
use crate::source::Source;
use crate::wire::{CheckRow, HealthRow, checks_of, node_checks};

pub(crate) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/health/node/{node}", get(of_node))
        .route("/v1/health/checks/{service}", get(of_service))
        .route("/v1/health/service/{service}", get(instances))
        .route("/v1/health/state/{state}", get(in_state))
        .route("/v1/health/connect/{service}", get(in_mesh))
        .route("/v1/health/ingress/{service}", get(ingress))
}

/// A name that may be anything: what no service or node can be called is one that is not there.
pub(crate) fn name_of(text: &str) -> Reply<Name> {
    text.parse().map_err(|error| Refusal::bad(format!("{error}")))
}

pub(crate) fn service_of(params: &Params, text: &str) -> Reply<ServiceKey> {
    Ok(ServiceKey { namespace: params.namespace()?, name: name_of(text)? })
}

async fn instances(State(door): State<Door>, params: Params, Path(service): Path<String>) -> Reply<Answer> {
    let key = service_of(&params, &service)?;
    let (passing, peer) = (params.flag("passing")?, params.is_of_peer());
    let make = |registry: &Handle| {
        if peer {
            return Vec::new();
        }
        let (members, snapshot) = (door.members_of(&key), registry.snapshot(&key));
        rows(&door, &params, passing, members.iter().chain(&snapshot.entries))
    };
    door.list(&params, source_of(&key), &params.variant("health"), make).await
}

/// Those instances that are wanted, each with its checks.
fn rows<'e>(
    door: &Door,
    params: &Params,
    passing: bool,
    entries: impl Iterator<Item = &'e Entry>,
) -> Vec<HealthRow> {
    let datacenter: Arc<str> = door.options.datacenter.as_str().into();
    let wanted = entries.filter(|entry| is_wanted(params, entry));
    let rows = wanted.map(|entry| HealthRow::new(entry.clone(), datacenter.clone()));
    rows.filter(|row| !passing || row.is_passing()).collect()
}

/// Whether an instance has the tags and its node the metadata that are asked for.
pub(crate) fn is_wanted(params: &Params, entry: &Entry) -> bool {
    params.tags_match(&entry.instance.definition.tags) && params.meta_matches(&entry.node.definition.metadata)
}

/// The proxies of Consul's mesh that are registered for a service, and its instances that need none.
async fn in_mesh(State(door): State<Door>, params: Params, Path(service): Path<String>) -> Reply<Answer> {
    let key = service_of(&params, &service)?;
    let (passing, peer) = (params.flag("passing")?, params.is_of_peer());
    let make = |registry: &Handle| {
        let found = if peer { Vec::new() } else { mesh::instances(registry, &key) };
        rows(&door, &params, passing, found.iter())
    };
    door.list(&params, Topic::All, &params.variant(&format!("mesh/{key}")), make).await
}

/// The gateways that are said to lead to a service.
async fn ingress(State(door): State<Door>, params: Params, Path(service): Path<String>) -> Reply<Answer> {
    let key = service_of(&params, &service)?;
    let (passing, peer) = (params.flag("passing")?, params.is_of_peer());
    let source = Source::from(Topic::All).and_kept(gateways::INGRESS);
    door.follow(&params, &source).await?;
    let index = door.index_of(&source)?;
    let leading = if peer { Vec::new() } else { gateways::leading_to(&door, &key)? };
    Ok(filtered(&params, rows(&door, &params, passing, leading.iter()))?.at(&params, index))
}

async fn of_service(State(door): State<Door>, params: Params, Path(service): Path<String>) -> Reply<Answer> {
    let key = service_of(&params, &service)?;
    let make = |registry: &Handle| -> Vec<CheckRow> {
        let (members, snapshot) = (door.members_of(&key), registry.snapshot(&key));
        let all = members.iter().chain(&snapshot.entries);
        all.filter(|e| params.meta_matches(&e.node.definition.metadata)).flat_map(checks_of).collect()
    };
    door.fresh(&params, source_of(&key), make).await
}

async fn of_node(State(door): State<Door>, params: Params, Path(node): Path<String>) -> Reply<Answer> {
    let name = name_of(&node)?;
    let make = |registry: &Handle| all_on(registry, &name);
    door.fresh(&params, Topic::Node(name.clone()), make).await
}

/// All checks on a node, the node's own first.
fn all_on(registry: &Handle, name: &Name) -> Vec<CheckRow> {
    let Some(snapshot) = registry.node(name) else { return Vec::new() };
    let mut rows = node_checks(&snapshot.node);
    for instance in &snapshot.instances {
        rows.extend(checks_of(&Entry { instance: instance.clone(), node: snapshot.node.clone() }));
    }
    rows
}

async fn in_state(State(door): State<Door>, params: Params, Path(state): Path<String>) -> Reply<Answer> {
    let status = match state.as_str() {
        "any" => None,
        "passing" => Some(CheckStatus::Passing),
        "warning" => Some(CheckStatus::Warning),
        "critical" => Some(CheckStatus::Critical),
        other => {
            return Err(Refusal::bad(format!(
                "Invalid state {other:?}: ask for any, passing, warning or critical"
            )));
        }
    };
    // What is critical by maintenance or by an operator's word is no check of the registry, so its topics do not tell.
    let topic = match status {
        Some(CheckStatus::Passing | CheckStatus::Warning) => Topic::State(status),
        _ => Topic::All,
    };
    let make = |registry: &Handle| -> Vec<CheckRow> {
        let nodes = registry.nodes();
        let wanted = nodes.nodes.iter().filter(|node| params.meta_matches(&node.definition.metadata));
        let rows = wanted.flat_map(|node| all_on(registry, node.name()));
        rows.filter(|row| status.is_none_or(|status| row.health() == status)).collect()
    };
    door.fresh(&params, topic, make).await
}
