//! Transactions on nodes, services and checks.

use serde_json::{Value, json};
use trellis_registry::{InstanceKey, Lease, Name, Registration};

use super::{done, rolled_back};
use crate::agent::{checks, definition};
use crate::answer::Answer;
use crate::catalog::{Registered, node_of, register_all};
use crate::door::Door;
use crate::health::name_of;
use crate::refusal::{Refusal, Reply};
use crate::request::{Object, Params};
use crate::wire::{CheckRow, NodeRow, NodeService};

/// What an operation is about.
enum Target {
    Node(Name),
    Service(InstanceKey),
    Check(Name, String),
}

/// What it does.
enum Action {
    Get,
    Set(Box<Registered>),
    Delete,
}

pub(super) async fn run(door: &Door, params: &Params, ops: Vec<Object>) -> Reply<Answer> {
    let ops = ops.into_iter().map(|op| read(params, op)).collect::<Reply<Vec<_>>>()?;
    if ops.iter().filter(|(_, action)| !matches!(action, Action::Get)).count() > 1 {
        return Err(Refusal::unsupported(
            "the registry has no transactions: change one node, service or check at a time",
        ));
    }
    let missing = |index: usize, target: &Target| match show(door, target) {
        None => Some((index, format!("{} is not registered", target.text()))),
        Some(_) => None,
    };
    let gets = ops.iter().enumerate().filter(|(_, (_, action))| matches!(action, Action::Get));
    let errors: Vec<_> = gets.filter_map(|(index, (target, _))| missing(index, target)).collect();
    if !errors.is_empty() {
        return Ok(rolled_back(params, errors));
    }
    let mut results = Vec::new();
    for (target, action) in ops {
        match action {
            Action::Get => results.extend(show(door, &target)),
            Action::Set(registered) => {
                register_all(door, params, *registered).await?;
                results.extend(show(door, &target));
            }
            Action::Delete => delete(door, params, &target).await?,
        }
    }
    Ok(done(params, &results))
}

fn read(params: &Params, mut op: Object) -> Reply<(Target, Action)> {
    let (kind, mut inner) = if let Some(inner) = op.object("Node")? {
        ("Node", inner)
    } else if let Some(inner) = op.object("Service")? {
        ("Service", inner)
    } else if let Some(inner) = op.object("Check")? {
        ("Check", inner)
    } else {
        return Err(Refusal::bad("an operation is about a KV, a Node, a Service or a Check"));
    };
    let verb = inner.text("Verb")?;
    // A service stands beside the name of its node; nodes and checks have it within.
    let beside = if kind == "Service" { inner.text("Node")? } else { String::new() };
    let which = || Refusal::bad(format!("an operation on a {kind} says which"));
    let mut about = inner.object(kind)?.ok_or_else(which)?;
    let name = if beside.is_empty() { about.text("Node")? } else { beside };
    let name = name_of(&name)?;
    let is_set = match verb.as_str() {
        "get" | "delete" => false,
        "set" => true,
        "cas" | "delete-cas" => {
            return Err(Refusal::unsupported("the registry does not compare and set; use set and delete"));
        }
        other => return Err(Refusal::bad(format!("unknown {kind} verb {other:?}"))),
    };
    let mut all = Registered { node: None, service: None, checks: Vec::new(), name: name.clone() };
    let target = match kind {
        "Node" => {
            all.node = Some(node_of(&mut about, &name)?);
            Target::Node(name)
        }
        "Service" => {
            let id = about.first_text(&["ID", "Service"])?;
            let id =
                id.parse().map_err(|error| Refusal::bad(format!("Invalid service ID {id:?}: {error}")))?;
            let key = InstanceKey { namespace: params.namespace()?, node: name.clone(), id };
            if is_set {
                let service = definition::read(about, params)?.registration;
                let id = key.id.clone();
                all.service = Some(Registration {
                    id,
                    node: Some(name),
                    keep_checks: true,
                    lease: Lease::None,
                    ..service
                });
            }
            Target::Service(key)
        }
        _ => {
            let id = about.first_text(&["CheckID", "ID"])?;
            let mut given = checks::reported(about)?;
            given.check.id = id.as_str().into();
            all.checks.push(given);
            Target::Check(name, id)
        }
    };
    let action = match (verb.as_str(), is_set) {
        (_, true) => Action::Set(Box::new(all)),
        ("get", _) => Action::Get,
        _ => Action::Delete,
    };
    Ok((target, action))
}

impl Target {
    fn text(&self) -> String {
        match self {
            Self::Node(name) => format!("the node {name}"),
            Self::Service(key) => format!("the service {}", key.id),
            Self::Check(node, id) => format!("the check {id:?} of {node}"),
        }
    }
}

fn show(door: &Door, target: &Target) -> Option<Value> {
    let datacenter = || door.options.datacenter.as_str().into();
    match target {
        Target::Node(name) => {
            let node = door.registry.node(name)?.node.clone();
            Some(json!({"Node": NodeRow(node, datacenter())}))
        }
        Target::Service(key) => Some(json!({"Service": NodeService(door.registry.find(key)?.instance)})),
        Target::Check(node, id) => {
            let check = door.registry.find_check(&trellis_registry::Namespace::default(), node, id)?;
            Some(json!({"Check": CheckRow::new(&check)}))
        }
    }
}

async fn delete(door: &Door, params: &Params, target: &Target) -> Reply<()> {
    match target {
        Target::Node(name) if door.registry.node(name).is_some() => door.registry.remove_node(name).await?,
        Target::Service(key) if door.registry.find(key).is_some() => door.registry.remove(key).await?,
        Target::Check(node, id) => {
            if let Some(check) = door.registry.find_check(&params.namespace()?, node, id) {
                door.registry.remove_check(&check.key).await?;
            }
        }
        Target::Node(_) | Target::Service(_) => {}
    }
    Ok(())
}
