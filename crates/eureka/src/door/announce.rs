//! What instances do: register, say that they are there, and leave.

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use trellis_core::{Error, codes};
use trellis_net::body;
use trellis_registry::Lease;

use super::Door;
use super::refusal::{Reply, unknown_instance};
use crate::read::{self, Announced, Format};
use crate::{find, labels, names, register};

/// Parameters of a query, in their order.
pub(super) type Parameters = Query<Vec<(String, String)>>;

/// A parameter that is there and not empty.
pub(super) fn parameter<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = query.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// Takes in an instance, or what it says anew.
pub(super) async fn register(
    State(door): State<Door>,
    Path(app): Path<String>,
    request: Request,
) -> Reply<StatusCode> {
    let service = names::service(&app)?;
    let format = Format::of_body(request.headers())?;
    let bytes = body::collect(request.into_body(), door.options.max_body_bytes).await?;
    let announced = read::announced(format, &bytes)?;
    is_of(&announced, &app)?;
    let registration = register::registration(&announced, &service)?;
    let registration = register::with_own_id(&door.registry, registration)?;
    door.registry.admit(registration).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn is_of(announced: &Announced, app: &str) -> Result<(), Error> {
    match &announced.app {
        Some(said) if said.eq_ignore_ascii_case(app) => Ok(()),
        Some(said) => {
            let text =
                format!("instance/app: the path has {app:?}, the body {said:?}; they have to be the same");
            Err(Error::new(codes::INVALID_INPUT, text))
        }
        None => Err(Error::new(codes::INVALID_INPUT, "instance/app: expected the name of the app")),
    }
}

/// A heartbeat. Whoever has changed since it registered is told to register again, as in Eureka.
pub(super) async fn renew(
    State(door): State<Door>,
    Path((app, id)): Path<(String, String)>,
    Query(query): Parameters,
) -> Reply<StatusCode> {
    let said = match parameter(&query, "status") {
        Some(text) => read::status("status", text)?,
        None => None,
    };
    let dirty = match parameter(&query, "lastDirtyTimestamp") {
        Some(text) => Some(read::number::<i64>("lastDirtyTimestamp", text)?),
        None => None,
    };
    let found = find::instance(&door.registry, &names::service(&app)?, &id);
    let entry = found.ok_or_else(|| unknown_instance(&app, &id))?;
    door.registry.heartbeat(entry.key()).await?;
    let definition = &entry.instance.definition;
    let known = definition.metadata.get(labels::DIRTY).and_then(|text| text.parse().ok());
    if dirty.zip(known).is_some_and(|(dirty, known): (i64, i64)| dirty > known) {
        let text = "the instance has changed since it was registered: register it again";
        return Err(Error::new(codes::NOT_FOUND, text).into());
    }
    // What the platform runs, it knows better.
    if let Some(status) = said.filter(|_| definition.lease != Lease::Managed) {
        door.registry.report(entry.key(), status)?;
    }
    Ok(StatusCode::OK)
}

/// An instance leaves.
pub(super) async fn deregister(
    State(door): State<Door>,
    Path((app, id)): Path<(String, String)>,
) -> Reply<StatusCode> {
    let found = find::instance(&door.registry, &names::service(&app)?, &id);
    let entry = found.ok_or_else(|| unknown_instance(&app, &id))?;
    door.registry.remove(entry.key()).await?;
    Ok(StatusCode::OK)
}
