//! What operators do: take instances out and bring them back, and change their labels.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use trellis_core::{Error, codes};
use trellis_registry::{Entry, Error as Refused, Lease, Registration};

use super::Door;
use super::announce::{Parameters, parameter};
use super::refusal::{Reply, unknown_instance};
use crate::register::CollectLabels;
use crate::{find, labels, names, read};

/// Says what status an instance has, whatever it says itself.
pub(super) async fn set_status(
    State(door): State<Door>,
    Path((app, id)): Path<(String, String)>,
    Query(query): Parameters,
) -> Reply<StatusCode> {
    let text = parameter(&query, "value").unwrap_or("nothing");
    let Some(status) = read::status("value", text)? else {
        let text = "value: nobody can say that a status is not known; DELETE takes back what was said";
        return Err(Error::new(codes::INVALID_INPUT, text).into());
    };
    let entry = found(&door, &app, &id)?;
    door.registry.override_instance(entry.key(), Some(status)).await?;
    Ok(StatusCode::OK)
}

/// Takes that back. What the instance says of itself counts again at once, so the status that clients may send along for
/// the time until they hear from it is only looked at for its form.
pub(super) async fn clear_status(
    State(door): State<Door>,
    Path((app, id)): Path<(String, String)>,
    Query(query): Parameters,
) -> Reply<StatusCode> {
    if let Some(text) = parameter(&query, "value") {
        read::status("value", text)?;
    }
    let entry = found(&door, &app, &id)?;
    door.registry.override_instance(entry.key(), None).await?;
    Ok(StatusCode::OK)
}

/// Adds labels, or gives them other values.
pub(super) async fn set_metadata(
    State(door): State<Door>,
    Path((app, id)): Path<(String, String)>,
    Query(query): Parameters,
) -> Reply<StatusCode> {
    if let Some((key, _)) = query.iter().find(|(key, _)| key.starts_with(labels::PREFIX)) {
        let text = format!("{key:?}: what begins with `eureka.` is what this door keeps there itself");
        return Err(Error::new(codes::INVALID_INPUT, text).into());
    }
    let entry = found(&door, &app, &id)?;
    let instance = &entry.instance;
    if instance.definition.lease == Lease::Managed {
        return Err(Refused::Managed(instance.key.id.clone()).into());
    }
    if instance.expired {
        return Err(unknown_instance(&app, &id).into());
    }
    // The first of several values counts, as in Eureka; labels keep the last.
    let said = query.iter().rev().map(|(key, value)| (key.as_str(), value.as_str()));
    let metadata = instance.definition.metadata.iter().chain(said).collect_labels();
    door.registry.admit(Registration { metadata, ..again(&entry) }).await?;
    Ok(StatusCode::OK)
}

fn found(door: &Door, app: &str, id: &str) -> Result<Entry, Error> {
    let found = find::instance(&door.registry, &names::service(app)?, id);
    found.ok_or_else(|| unknown_instance(app, id))
}

/// The registration that an instance came from, as far as it is known.
fn again(entry: &Entry) -> Registration {
    let (instance, definition) = (&entry.instance, &entry.instance.definition);
    let (service, host) = (definition.service.clone(), definition.host.clone());
    Registration {
        namespace: instance.key.namespace.clone(),
        node: Some(instance.key.node.clone()),
        tags: definition.tags.clone(),
        weights: definition.weights,
        zone: definition.zone.clone(),
        version: definition.version.clone(),
        tagged_addresses: definition.tagged_addresses.clone(),
        enable_tag_override: definition.enable_tag_override,
        status: instance.reported,
        lease: definition.lease,
        checks: instance.checks.iter().map(|check| (*check.definition).clone()).collect(),
        keep_checks: true,
        ..Registration::new(instance.key.id.clone(), service, host, definition.port)
    }
}
