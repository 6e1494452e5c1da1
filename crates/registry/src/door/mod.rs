//! The native HTTP door: JSON in and out, problem+json for what is refused. It translates and holds no rule.

mod endpoints;
mod input;
mod instances;
pub(crate) mod schema;
mod services;

use axum::Router;
use axum::routing::{get, post, put};
use trellis_net::refusal;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use crate::handle::Handle;

pub use endpoints::at_once;

/// Largest request body, in bytes: a registration with all labels at their limits takes 74 KiB and is refused, as no
/// sensible one is near that.
const MAX_BODY: u64 = 64 << 10;

/// The registry over HTTP, to be mounted at the root of the admin API, with
/// [`Written`](refusal::Written) around all of it.
pub fn router(handle: Handle) -> Router {
    Router::new()
        .route("/v1/services", get(services::list))
        .route("/v1/services/{name}", get(services::show))
        .route("/v1/services/{name}/endpoints", get(endpoints::one))
        .route("/v1/endpoints", get(endpoints::many))
        .route("/v1/services/{name}/override", put(services::set_override).delete(services::clear_override))
        .route("/v1/instances/{id}", put(instances::register).get(instances::show).delete(instances::remove))
        .route("/v1/instances/{id}/renew", post(instances::renew))
        .route("/v1/instances/{id}/override", put(instances::set_override).delete(instances::clear_override))
        .route("/v1/overrides", get(services::overrides))
        .method_not_allowed_fallback(refusal::method_not_allowed)
        .with_state(handle)
}

/// What the door offers, for the admin API's document.
pub fn openapi() -> OpenApi {
    Document::openapi()
}

#[derive(utoipa::OpenApi)]
#[openapi(
    paths(
        services::list,
        services::show,
        endpoints::one,
        endpoints::many,
        services::set_override,
        services::clear_override,
        services::overrides,
        instances::register,
        instances::show,
        instances::remove,
        instances::renew,
        instances::set_override,
        instances::clear_override,
    ),
    tags((name = "registry", description = "Services, their instances, and what operators say of them")),
)]
struct Document;
