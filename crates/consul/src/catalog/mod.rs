//! `/v1/catalog`: nodes and what is on them.

mod register;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, put};
use serde::Serialize;
use serde_json::{Value, json};
use trellis_registry::{Handle, Instance, Name, Namespace, ServiceKey, Tags, Topic};

use crate::answer::{Answer, bytes_of};
use crate::door::Door;
use crate::entries::gateways;
use crate::health::{is_wanted, name_of, service_of};
use crate::itself::{SERVICE, source_of};
use crate::mesh;
use crate::refusal::{Refusal, Reply};
use crate::request::Params;
use crate::source::Source;
use crate::wire::{CatalogRow, NodeRow, NodeService};

pub(crate) use register::{Registered, node_of, register_all};

pub(crate) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/catalog/register", put(register::register))
        .route("/v1/catalog/deregister", put(register::deregister))
        .route("/v1/catalog/datacenters", get(datacenters))
        .route("/v1/catalog/nodes", get(nodes))
        .route("/v1/catalog/services", get(services))
        .route("/v1/catalog/service/{service}", get(instances))
        .route("/v1/catalog/gateway-services/{gateway}", get(gateway_services))
        .route("/v1/catalog/connect/{service}", get(in_mesh))
        .route("/v1/catalog/node/{node}", get(node))
        .route("/v1/catalog/node-services/{node}", get(node_services))
}

async fn datacenters(State(door): State<Door>, params: Params) -> Reply<Answer> {
    Ok(Answer::json(&params, &[&door.options.datacenter]))
}

async fn nodes(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let datacenter: Arc<str> = door.options.datacenter.as_str().into();
    let make = |registry: &Handle| -> Vec<NodeRow> {
        let nodes = registry.nodes();
        let wanted = nodes.nodes.iter().filter(|node| params.meta_matches(&node.definition.metadata));
        wanted.map(|node| NodeRow(node.clone(), datacenter.clone())).collect()
    };
    door.list(&params, Topic::Nodes, &params.variant("nodes"), make).await
}

async fn instances(State(door): State<Door>, params: Params, Path(service): Path<String>) -> Reply<Answer> {
    let (key, peer) = (service_of(&params, &service)?, params.is_of_peer());
    let datacenter: Arc<str> = door.options.datacenter.as_str().into();
    let make = |registry: &Handle| -> Vec<CatalogRow> {
        if peer {
            return Vec::new();
        }
        let (members, snapshot) = (door.members_of(&key), registry.snapshot(&key));
        let wanted = members.iter().chain(&snapshot.entries).filter(|entry| is_wanted(&params, entry));
        wanted.map(|entry| CatalogRow(entry.clone(), datacenter.clone())).collect()
    };
    door.list(&params, source_of(&key), &params.variant("catalog"), make).await
}

/// The proxies of Consul's mesh that are registered for a service, and its instances that need none.
async fn in_mesh(State(door): State<Door>, params: Params, Path(service): Path<String>) -> Reply<Answer> {
    let (key, peer) = (service_of(&params, &service)?, params.is_of_peer());
    let datacenter: Arc<str> = door.options.datacenter.as_str().into();
    let make = |registry: &Handle| -> Vec<CatalogRow> {
        let found = if peer { Vec::new() } else { mesh::instances(registry, &key) };
        let wanted = found.into_iter().filter(|entry| is_wanted(&params, entry));
        wanted.map(|entry| CatalogRow(entry, datacenter.clone())).collect()
    };
    door.list(&params, Topic::All, &params.variant(&format!("catalog/mesh/{key}")), make).await
}

/// The names of services, each with all tags that its instances have.
async fn services(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let namespace = params.namespace()?;
    let topic = Topic::Services(namespace.clone());
    if params.filter()?.is_none() && params.get("node-meta").is_none() {
        door.follow(&params, &topic.clone().into()).await?;
        let made = door.registry.cached(&topic, "consul/services", |registry| {
            bytes_of(&by_name(&namespace, &registry.catalog(&namespace).services))
        });
        return Ok(Answer::of_json(&params, made.body.clone()).at(&params, made.index));
    }
    // What is chosen by instance or node may change when the catalog does not.
    let source = Source::from(Topic::All).and_members();
    door.follow(&params, &source).await?;
    let index = door.index_of(&source)?;
    let chosen = chosen_services(&door, &params, &namespace)?;
    Ok(Answer::json(&params, &chosen).at(&params, index))
}

/// Names and tags, the platform's own service among them: this member is always there.
fn by_name<'s>(namespace: &Namespace, services: &'s BTreeMap<Name, Tags>) -> BTreeMap<&'s str, Tags> {
    let own = namespace.is_default().then_some((SERVICE, Tags::default()));
    let registered = services.iter().map(|(name, tags)| (name.as_str(), tags.clone()));
    own.into_iter().chain(registered).collect()
}

fn chosen_services(
    door: &Door,
    params: &Params,
    namespace: &Namespace,
) -> Reply<BTreeMap<String, BTreeSet<String>>> {
    let filter = params.filter()?;
    let datacenter: Arc<str> = door.options.datacenter.as_str().into();
    let mut chosen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let catalog = door.registry.catalog(namespace);
    let own = SERVICE.parse().ok().filter(|name| !catalog.services.contains_key(name));
    for name in own.iter().chain(catalog.services.keys()) {
        let key = ServiceKey { namespace: namespace.clone(), name: name.clone() };
        let (members, snapshot) = (door.members_of(&key), door.registry.snapshot(&key));
        for entry in members.iter().chain(&snapshot.entries) {
            if !params.meta_matches(&entry.node.definition.metadata) {
                continue;
            }
            if let Some(filter) = &filter {
                let row = CatalogRow(entry.clone(), datacenter.clone());
                let row = serde_json::to_value(row).unwrap_or_default();
                if !filter.matches(&row).map_err(|error| Refusal::bad(error.to_string()))? {
                    continue;
                }
            }
            let tags = entry.instance.definition.tags.iter().map(str::to_owned);
            chosen.entry(name.to_string()).or_default().extend(tags);
        }
    }
    Ok(chosen)
}

/// The instances on a node that are wanted, and the node; `None` if it is not known.
async fn on_node(door: &Door, params: &Params, node: &str) -> Reply<(u64, Option<(Value, Vec<Value>)>)> {
    let (name, namespace) = (name_of(node)?, params.namespace()?);
    let filter = params.filter()?;
    let source = Source::from(Topic::Node(name.clone())).and_members();
    door.follow(params, &source).await?;
    let index = door.index_of(&source)?;
    let Some(snapshot) = door.registry.node(&name) else { return Ok((index, None)) };
    let row = NodeRow(snapshot.node.clone(), door.options.datacenter.as_str().into());
    let is_here = |instance: &&Arc<Instance>| instance.key.namespace == namespace;
    let own = door.own_entry_on(&name).map(|entry| entry.instance).filter(|own| is_here(&own));
    let services = own.iter().chain(snapshot.instances.iter().filter(is_here));
    let services = services.map(|instance| NodeService(instance.clone()));
    let services: Vec<Value> = match filter {
        None => services.map(as_json).collect(),
        Some(filter) => filter.keep(services).map_err(|error| Refusal::bad(error.to_string()))?,
    };
    Ok((index, Some((as_json(row), services))))
}

fn as_json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// The services that a gateway is said to lead to.
async fn gateway_services(
    State(door): State<Door>,
    params: Params,
    Path(gateway): Path<String>,
) -> Reply<Answer> {
    let source = Source::from(Topic::Services(params.namespace()?)).and_kept("");
    door.follow(&params, &source).await?;
    let index = door.index_of(&source)?;
    Ok(Answer::json(&params, &gateways::services_of(&door, &params, &gateway)?).at(&params, index))
}

async fn node(State(door): State<Door>, params: Params, Path(node): Path<String>) -> Reply<Answer> {
    let (index, found) = on_node(&door, &params, &node).await?;
    let body = found.map(|(node, services)| {
        let by_id: serde_json::Map<_, _> = services
            .into_iter()
            .map(|service| (service["ID"].as_str().unwrap_or_default().to_owned(), service))
            .collect();
        json!({"Node": node, "Services": by_id})
    });
    Ok(Answer::json(&params, &body).at(&params, index))
}

async fn node_services(State(door): State<Door>, params: Params, Path(node): Path<String>) -> Reply<Answer> {
    let (index, found) = on_node(&door, &params, &node).await?;
    let body = match found {
        Some((node, services)) => json!({"Node": node, "Services": services}),
        None => json!({"Node": null, "Services": []}),
    };
    Ok(Answer::json(&params, &body).at(&params, index))
}
