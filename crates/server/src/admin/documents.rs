//! The OpenAPI document.

use axum::Json;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use super::{members, mesh, metrics, status, traffic};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Trellis admin API",
        description = "How the platform is, what it runs, and what operators say of it. Errors are RFC 9457 problem documents.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(status::status, status::config, members::members, status::health, status::live, status::ready, document, traffic::show, traffic::apply, metrics::metrics, mesh::config),
    tags((name = "platform", description = "The platform itself"), (name = "gateway", description = "What the gateway does, while it does it"), (name = "mesh", description = "What proxies beside instances ask"), (name = "health", description = "For whoever watches it")),
)]
struct Document;

/// The document of the whole admin API.
pub fn openapi() -> OpenApi {
    let mut whole = Document::openapi();
    whole.merge(trellis_registry::openapi());
    whole.merge(trellis_config::openapi());
    whole
}

/// This document.
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "platform", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
)]
pub(super) async fn document() -> Json<OpenApi> {
    Json(openapi())
}
