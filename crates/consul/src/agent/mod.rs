//! `/v1/agent`: the platform's own node, which is every client's agent.

pub(crate) mod checks;
pub(crate) mod definition;
mod health;
mod metrics;
mod operate;
pub(crate) mod own;
mod services;

use axum::Router;
use axum::routing::{get, put};

use crate::door::Door;

pub(crate) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/agent/self", get(own::itself))
        .route("/v1/agent/members", get(own::members))
        .route("/v1/agent/version", get(own::version))
        .route("/v1/agent/maintenance", put(own::maintenance))
        .route("/v1/agent/leave", put(operate::leave))
        .route("/v1/agent/reload", put(operate::reload))
        .route("/v1/agent/monitor", get(own::monitor))
        .route("/v1/agent/metrics", get(metrics::metrics))
        .route("/v1/agent/services", get(services::list))
        .route("/v1/agent/service/register", put(services::register))
        .route("/v1/agent/service/deregister/{id}", put(services::deregister))
        .route("/v1/agent/service/maintenance/{id}", put(services::maintenance))
        .route("/v1/agent/service/{id}", get(services::show))
        .route("/v1/agent/health/service/name/{name}", get(health::by_name))
        .route("/v1/agent/health/service/id/{id}", get(health::by_id))
        .route("/v1/agent/checks", get(checks::list))
        .route("/v1/agent/check/register", put(checks::register))
        .route("/v1/agent/check/deregister/{*id}", put(checks::deregister))
        .route("/v1/agent/check/pass/{*id}", put(checks::pass))
        .route("/v1/agent/check/warn/{*id}", put(checks::warn))
        .route("/v1/agent/check/fail/{*id}", put(checks::fail))
        .route("/v1/agent/check/update/{*id}", put(checks::update))
}
