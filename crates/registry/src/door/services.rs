//! `/v1/services` and `/v1/overrides`

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use trellis_core::{EndpointSet, HumanDuration};
use trellis_net::refusal::{ProblemSchema, Reply};
use utoipa::IntoParams;

use super::input::{Json, Name, Query};
use super::instances::OverrideBody;
use super::schema;
use crate::handle::Handle;
use crate::view::{OverrideView, ServiceSummary};

/// How long a request with a revision waits if it does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// All services that have instances.
#[utoipa::path(
    get, path = "/v1/services", tag = "registry", operation_id = "list_services",
    responses((status = 200, body = [ServiceSummary])),
)]
pub(super) async fn list(State(handle): State<Handle>) -> Answer<Vec<ServiceSummary>> {
    Answer(handle.services())
}

/// One service and all its instances.
#[utoipa::path(
    get, path = "/v1/services/{name}", tag = "registry", operation_id = "show_service",
    params(("name" = String, Path, description = "The service")),
    responses(
        (status = 200, body = ServiceSummary),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(State(handle): State<Handle>, Name(name): Name) -> Reply<Answer<ServiceSummary>> {
    Ok(Answer(handle.service(&name)?))
}

/// How to wait for a change.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EndpointsQuery {
    /// The revision that is known already. Absent: answer at once.
    revision: Option<u64>,
    /// Longest wait for another revision, such as 30s, which is the default; more than 5m counts as 5m.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<HumanDuration>,
}

/// The endpoints that may take traffic, at once or as soon as they change.
///
/// Send the revision of the last answer: the next comes when there is another, or when the wait is over, and then it
/// may be the same. A revision is never used for two sets, but it may be lower than the last one: compare for equality
/// only. A service that is not known has no endpoints and revision 0.
#[utoipa::path(
    get, path = "/v1/services/{name}/endpoints", tag = "registry", operation_id = "watch_endpoints",
    params(("name" = String, Path, description = "The service, known or not yet known"), EndpointsQuery),
    responses(
        (status = 200, body = schema::EndpointSet),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn endpoints(
    State(handle): State<Handle>,
    Name(name): Name,
    Query(query): Query<EndpointsQuery>,
) -> Reply<Answer<Arc<EndpointSet>>> {
    let Some(known) = query.revision else { return Ok(Answer(handle.endpoints(&name))) };
    let wait = query.wait.map_or(DEFAULT_WAIT, Duration::from);
    Ok(Answer(handle.endpoints_after(&name, known, wait).await?))
}

/// Say what status all instances of a service have, whatever their liveness says.
///
/// It holds for present and future instances until it is taken back, but not for an instance of which something else is
/// said. It is on disk when the answer comes.
#[utoipa::path(
    put, path = "/v1/services/{name}/override", tag = "registry", operation_id = "set_service_override",
    params(("name" = String, Path, description = "The service")),
    request_body = OverrideBody,
    responses(
        (status = 204, description = "Set"),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn set_override(
    State(handle): State<Handle>,
    Name(name): Name,
    Json(body): Json<OverrideBody>,
) -> Reply<StatusCode> {
    handle.set_service_override(&name, Some(body.status)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take back what was said of a service; liveness counts again.
#[utoipa::path(
    delete, path = "/v1/services/{name}/override", tag = "registry", operation_id = "clear_service_override",
    params(("name" = String, Path, description = "The service")),
    responses(
        (status = 204, description = "Taken back, or nothing was said"),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn clear_override(State(handle): State<Handle>, Name(name): Name) -> Reply<StatusCode> {
    handle.set_service_override(&name, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Everything that operators said, also of instances and services that are gone.
#[utoipa::path(
    get, path = "/v1/overrides", tag = "registry", operation_id = "list_overrides",
    responses((status = 200, body = [OverrideView])),
)]
pub(super) async fn overrides(State(handle): State<Handle>) -> Answer<Vec<OverrideView>> {
    Answer(handle.overrides())
}
