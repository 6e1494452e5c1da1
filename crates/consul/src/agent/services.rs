//! Instances on the own node.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use trellis_registry::{Registration, Topic};

use super::own::reason;
use super::{checks, definition};
use crate::answer::Answer;
use crate::door::{Door, unknown_service};
use crate::refusal::{Refusal, Reply};
use crate::request::{self, Params, Whole};
use crate::wire::{AgentService, NodeService};

pub(super) async fn list(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let (filter, namespace) = (params.filter()?, params.namespace()?);
    let datacenter: Arc<str> = door.options.datacenter.as_str().into();
    let node = door.registry.node(door.node());
    let instances = node.iter().flat_map(|node| &node.instances);
    let mut by_id = BTreeMap::new();
    for instance in instances.filter(|instance| instance.key.namespace == namespace) {
        // Filters may ask for what is not shown because it is empty.
        if let Some(filter) = &filter
            && filter
                .keep([NodeService(instance.clone())])
                .map_err(|e| Refusal::bad(e.to_string()))?
                .is_empty()
        {
            continue;
        }
        by_id.insert(instance.key.id.to_string(), AgentService(instance.clone(), datacenter.clone()));
    }
    Ok(Answer::json(&params, &by_id))
}

/// One instance. Whoever names the hash that he knows waits until it is another.
pub(super) async fn show(State(door): State<Door>, params: Params, Path(id): Path<String>) -> Reply<Answer> {
    let key = door.own_key(&params, &id).map_err(|_| unknown_service(&id))?;
    let known = params.get("hash");
    let until = tokio::time::Instant::now() + door.wait(&params);
    loop {
        let index = door.registry.topic_index(&Topic::Agent);
        let entry = door.registry.find(&key).ok_or_else(|| unknown_service(&id))?;
        let (hash, body) = AgentService(entry.instance, door.options.datacenter.as_str().into()).with_hash();
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        if known != Some(hash.as_str()) || left.is_zero() {
            return Ok(Answer::json(&params, &body).with_hash(&hash));
        }
        let next = door.registry.watch_topic(&Topic::Agent, index, left).await?;
        if next == index {
            // The wait was cut short, by its limit or by the end of the platform.
            return Ok(Answer::json(&params, &body).with_hash(&hash));
        }
    }
}

pub(super) async fn register(State(door): State<Door>, params: Params, Whole(body): Whole) -> Reply<Answer> {
    let (registration, given) = definition::read(request::read(&body)?, &params)?;
    let checks = given.into_iter().map(checks::definition).collect::<Reply<Vec<_>>>()?;
    let keep_checks = !params.flag("replace-existing-checks")?;
    door.registry.admit(Registration { checks, keep_checks, ..registration }).await?;
    Ok(Answer::empty())
}

pub(super) async fn deregister(
    State(door): State<Door>,
    params: Params,
    Path(id): Path<String>,
) -> Reply<Answer> {
    let key = door.own_key(&params, &id)?;
    if door.registry.find(&key).is_none() {
        return Err(unknown_service(&id));
    }
    door.registry.remove(&key).await?;
    Ok(Answer::empty())
}

pub(super) async fn maintenance(
    State(door): State<Door>,
    params: Params,
    Path(id): Path<String>,
) -> Reply<Answer> {
    let reason = reason(&params)?;
    let key = door.own_key(&params, &id)?;
    if door.registry.find(&key).is_none() {
        return Err(unknown_service(&id));
    }
    door.registry.set_maintenance(&key, reason.as_deref()).await?;
    Ok(Answer::empty())
}
