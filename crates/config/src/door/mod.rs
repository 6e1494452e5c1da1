//! The native HTTP door: JSON in and out, problem+json for what is refused. It translates and holds no rule.

mod changes;
mod input;
mod keys;
mod past;
mod schemas;
mod watching;

use axum::Router;
use axum::routing::{get, post};
use trellis_net::refusal;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use crate::handle::Handle;

pub use keys::at_once;

/// The configuration over HTTP, to be mounted at the root of the admin API, with
/// [`Written`](refusal::Written) around all of it.
pub fn router(handle: Handle) -> Router {
    Router::new()
        .route("/v1/config/{app}/{env}/keys", get(keys::list))
        .route(
            "/v1/config/{app}/{env}/keys/{*key}",
            get(keys::show).put(changes::put).delete(changes::delete),
        )
        .route("/v1/config/{app}/{env}/history/{*key}", get(past::history))
        .route("/v1/config/{app}/{env}/diff/{*key}", get(past::diff))
        .route("/v1/config/{app}/{env}/rollback/{*key}", post(changes::rollback))
        .route(
            "/v1/config/{app}/{env}/gray/{*key}",
            post(changes::promote).put(changes::candidate).delete(changes::abort),
        )
        .route("/v1/config/{app}/{env}/txn", post(changes::txn))
        .route("/v1/config/{app}/{env}/audit", get(past::audit))
        .route(
            "/v1/config/{app}/{env}/schemas",
            get(schemas::list).put(schemas::attach).delete(schemas::detach),
        )
        .route("/v1/config/{app}/{env}/watch", get(watching::watch))
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
        keys::list,
        keys::show,
        changes::put,
        changes::delete,
        changes::rollback,
        changes::candidate,
        changes::promote,
        changes::abort,
        changes::txn,
        past::history,
        past::diff,
        past::audit,
        schemas::list,
        schemas::attach,
        schemas::detach,
        watching::watch,
    ),
    components(schemas(refusal::ProblemSchema)),
    tags((name = "config", description = "Versioned configuration")),
)]
struct Document;
