//! `/v1/instances`

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use trellis_core::{HumanDuration, InstanceId, ServiceName, Status};
use trellis_net::refusal::{ProblemSchema, Reply};
use utoipa::ToSchema;

use super::input::{Id, Json, number};
use super::schema;
use crate::error::{Error, Fault};
use crate::handle::Handle;
use crate::registration::{Lease, Registration, Weights};
use crate::view::InstanceView;

/// What an instance says of itself.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = Registration)]
pub(super) struct RegistrationBody {
    /// May be repeated here, and is then the same as in the path.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "orders-1")]
    id: Option<InstanceId>,
    /// The service it is a copy of; `name` is understood as well.
    #[serde(alias = "name")]
    #[schema(value_type = String, example = "orders")]
    service: ServiceName,
    /// Host name or address, without port or brackets.
    #[schema(example = "127.0.0.1")]
    host: String,
    /// TCP port.
    #[serde(deserialize_with = "number::<1, _>")]
    #[schema(minimum = 1, maximum = 65535)]
    port: u16,
    /// At most 64 labels; a key has up to 128 bytes, a value up to 1024.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// Share of traffic relative to its siblings, up to 65535; 0 takes none.
    #[serde(default = "one", deserialize_with = "number::<0, _>")]
    weight: u16,
    /// Failure domain.
    #[serde(default)]
    zone: Option<String>,
    /// Whether it is ready yet.
    #[serde(default = "up")]
    #[schema(value_type = schema::Status)]
    status: Status,
    /// Within this time it renews, or is taken for dead: 100ms to 24h; `[registry] lease` if absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "15s")]
    lease: Option<HumanDuration>,
}

fn one() -> u16 {
    1
}

fn up() -> Status {
    Status::Up
}

/// What an operator says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = Override)]
pub(super) struct OverrideBody {
    /// The status that wins over liveness.
    #[schema(value_type = schema::Status)]
    pub(super) status: Status,
}

/// Register an instance, in place of one with the same id, and start its lease.
///
/// The answer tells how long the lease is. Renew it at least twice in that time. An instance that the platform runs
/// cannot be replaced (409).
#[utoipa::path(
    put, path = "/v1/instances/{id}", tag = "registry", operation_id = "register_instance",
    params(("id" = String, Path, description = "Unique across all services, such as orders-1")),
    request_body = RegistrationBody,
    responses(
        (status = 200, body = InstanceView),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn register(
    State(handle): State<Handle>,
    Id(id): Id,
    Json(body): Json<RegistrationBody>,
) -> Reply<Answer<InstanceView>> {
    if body.id.is_some_and(|said| said != id) {
        let detail = "is another id than the path has; leave it out".into();
        return Err(Error::Invalid(vec![Fault { pointer: "/id".into(), detail }]).into());
    }
    let RegistrationBody { id: _, service, host, port, metadata, weight, zone, status, lease } = body;
    if host.is_empty() {
        let detail = "a host is a host name or an IP address, such as 10.0.0.7".into();
        return Err(Error::Invalid(vec![Fault { pointer: "/host".into(), detail }]).into());
    }
    let lease = Lease::For(lease.map_or(handle.options().lease, |asked| asked.0));
    let weight = u32::from(weight);
    let registration = Registration {
        metadata: metadata.into(),
        weights: Weights { passing: weight, warning: weight },
        zone: zone.map(Into::into),
        status,
        lease,
        ..Registration::new(id, service, host, port)
    };
    Ok(Answer(handle.take_in(registration).await?))
}

/// One instance, and why it has its status.
#[utoipa::path(
    get, path = "/v1/instances/{id}", tag = "registry", operation_id = "show_instance",
    params(("id" = String, Path, description = "The instance")),
    responses(
        (status = 200, body = InstanceView),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(State(handle): State<Handle>, Id(id): Id) -> Reply<Answer<InstanceView>> {
    Ok(Answer(handle.instance(&id)?))
}

/// Start an instance's lease again. After a 404 the instance has to register again.
#[utoipa::path(
    post, path = "/v1/instances/{id}/renew", tag = "registry", operation_id = "renew_instance",
    params(("id" = String, Path, description = "The instance")),
    responses(
        (status = 204, description = "Renewed"),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn renew(State(handle): State<Handle>, Id(id): Id) -> Reply<StatusCode> {
    handle.heartbeat(&handle.own_key(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove an instance. What an operator said of it stays.
#[utoipa::path(
    delete, path = "/v1/instances/{id}", tag = "registry", operation_id = "remove_instance",
    params(("id" = String, Path, description = "The instance")),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn remove(State(handle): State<Handle>, Id(id): Id) -> Reply<StatusCode> {
    handle.withdraw(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say what status an instance has, whatever its liveness says.
///
/// It holds until it is taken back, over restarts and registrations, and is on disk when the answer comes.
#[utoipa::path(
    put, path = "/v1/instances/{id}/override", tag = "registry", operation_id = "set_instance_override",
    params(("id" = String, Path, description = "The instance")),
    request_body = OverrideBody,
    responses(
        (status = 204, description = "Set"),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn set_override(
    State(handle): State<Handle>,
    Id(id): Id,
    Json(body): Json<OverrideBody>,
) -> Reply<StatusCode> {
    handle.set_override(&id, Some(body.status)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take back what was said of an instance; liveness counts again.
#[utoipa::path(
    delete, path = "/v1/instances/{id}/override", tag = "registry", operation_id = "clear_instance_override",
    params(("id" = String, Path, description = "The instance")),
    responses(
        (status = 204, description = "Taken back, or nothing was said"),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn clear_override(State(handle): State<Handle>, Id(id): Id) -> Reply<StatusCode> {
    handle.set_override(&id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
