//! The gateway's configuration and figures.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use trellis_core::{Error, codes};

use super::answer;
use crate::traffic::{Applied, Traffic};

/// What a manifest is called in messages when it came with a request.
const NAME: &str = "request";

/// The paths of the gateway's part of the admin API.
pub(crate) fn router(traffic: Traffic) -> Router {
    Router::new()
        .route("/v1/gateway", get(show))
        .route("/v1/gateway/config", get(show).put(apply))
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(Arc::new(traffic))
}

/// The figures of a gateway that is alone in its process.
pub(crate) fn metrics_router(traffic: Traffic) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(Arc::new(traffic))
}

/// Which configuration is in force, and what the gateway has counted since its start.
#[utoipa::path(get, path = "/v1/gateway", tag = "gateway", operation_id = "gateway", responses((status = 200, body = Object)))]
pub(super) async fn show(State(traffic): State<Arc<Traffic>>) -> Json<Value> {
    Json(json!({ "revision": traffic.current(), "traffic": traffic.handle().stats() }))
}

/// Puts a whole manifest into force: routes, clusters and what routes have from `[gateway]`. With a single mistake
/// nothing changes.
#[utoipa::path(
    put, path = "/v1/gateway/config", tag = "gateway", operation_id = "apply_gateway_config",
    request_body(content = String, content_type = "application/toml", description = "A whole trellis.toml"),
    responses((status = 200, body = Applied), (status = 422, description = "It has mistakes: `mistakes` lists all of them")),
)]
pub(super) async fn apply(State(traffic): State<Arc<Traffic>>, headers: HeaderMap, text: String) -> Response {
    // Reading and compiling ten thousand routes takes long enough to be in somebody's way.
    let applied = tokio::task::spawn_blocking(move || traffic.apply(NAME, text)).await;
    match applied.unwrap_or_else(|_| Err(Error::new(codes::INTERNAL, "the configuration was not applied"))) {
        Ok(applied) => Json(applied).into_response(),
        Err(error) => answer::refuse(&headers, &error),
    }
}

/// The figures of the gateway in the text format of Prometheus.
async fn metrics(State(traffic): State<Arc<Traffic>>) -> Response {
    ([(CONTENT_TYPE, trellis_proxy::metrics::CONTENT_TYPE)], traffic.handle().metrics()).into_response()
}
