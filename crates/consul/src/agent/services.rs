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
use crate::request::{self, Object, Params, Whole};
use crate::wire::{AgentService, NodeService};
use crate::{labels, mesh};

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
    let given = definition::read(request::read(&body)?, &params)?;
    let keep_checks = !params.flag("replace-existing-checks")?;
    let id = given.registration.id.clone();
    let Some(sidecar) = given.sidecar else {
        admit(&door, &params, given.registration, given.checks, keep_checks).await?;
        remove_sidecar(&door, &params, id.as_str()).await?;
        return Ok(Answer::empty());
    };
    let _one_port_each = door.sidecars.lock().await;
    let sidecar = read_sidecar(&door, &params, sidecar, &given.registration)?;
    admit(&door, &params, given.registration, given.checks, keep_checks).await?;
    admit(&door, &params, sidecar.registration, sidecar.checks, keep_checks).await?;
    Ok(Answer::empty())
}

async fn admit(
    door: &Door,
    params: &Params,
    registration: Registration,
    checks: Vec<Object>,
    keep_checks: bool,
) -> Reply<()> {
    let read = |check| checks::definition(check, door, params);
    let mut checks = checks.into_iter().map(read).collect::<Reply<Vec<_>>>()?;
    if checks.is_empty()
        && let Some(parent) = registration.metadata.get(labels::SIDECAR_OF)
    {
        checks.extend(mesh::sidecar_checks(&registration, door.own_key(params, parent)?));
    }
    door.registry.admit(Registration { checks, keep_checks, ..registration }).await?;
    Ok(())
}

fn read_sidecar(
    door: &Door,
    params: &Params,
    mut object: Object,
    parent: &Registration,
) -> Reply<definition::Given> {
    let id = mesh::sidecar_id(parent.id.as_str());
    if !object.text("ID")?.is_empty() {
        return Err(Refusal::bad(format!("the ID of a sidecar is that of its service: it will be {id}")));
    }
    let key = door.own_key(params, &id).map_err(|_| Refusal::bad(format!("Invalid service ID {id:?}")))?;
    mesh::fill_sidecar(&mut object, parent, || mesh::port_for(&door.registry, &key))?;
    let mut sidecar = definition::read(object, params)?;
    if sidecar.sidecar.is_some() {
        return Err(Refusal::bad("sidecar services cannot have a nested sidecar"));
    }
    let registered = &mut sidecar.registration;
    let own = [(labels::SIDECAR_OF, parent.id.as_str())];
    let metadata: BTreeMap<&str, &str> = registered.metadata.iter().chain(own).collect();
    registered.metadata = metadata.into();
    Ok(sidecar)
}

/// Removes the sidecar that was registered with an instance, if there is one.
async fn remove_sidecar(door: &Door, params: &Params, of: &str) -> Reply<()> {
    // What has no id that fits has no sidecar either.
    let Ok(key) = door.own_key(params, &mesh::sidecar_id(of)) else { return Ok(()) };
    let Some(known) = door.registry.find(&key) else { return Ok(()) };
    if known.instance.definition.metadata.get(labels::SIDECAR_OF) != Some(of) {
        return Ok(());
    }
    match door.registry.remove(&key).await {
        // Somebody else was faster.
        Ok(()) | Err(trellis_registry::Error::UnknownKey(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
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
    remove_sidecar(&door, &params, &id).await?;
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
