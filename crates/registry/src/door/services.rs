//! `/v1/services` and `/v1/overrides`

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use trellis_net::refusal::{ProblemSchema, Reply};

use super::input::{Json, Name};
use super::instances::OverrideBody;
use crate::handle::Handle;
use crate::view::{OverrideView, ServiceSummary};

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
