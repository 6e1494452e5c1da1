//! The doors every service has: health, life, readiness.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde_json::json;
use trellis_core::{Error, ServiceName, codes};
use trellis_runtime::Shutdown;
use trellis_runtime::health::{HealthChecks, HealthReport};

use super::middleware;
use crate::http::Failure;

/// What the doors look at.
#[derive(Clone)]
pub(crate) struct Doors {
    /// Named by log lines about requests that reach no module.
    pub(crate) app: ServiceName,
    pub(crate) health: HealthChecks,
    pub(crate) started: Arc<AtomicBool>,
    pub(crate) shutdown: Shutdown,
}

impl Doors {
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/livez", get(async || Json(json!({ "status": "OK" }))))
            .route("/readyz", get(ready))
            .method_not_allowed_fallback(not_allowed)
            .fallback(not_found)
            .layer(from_fn_with_state(self.app.clone(), middleware::enter))
            .with_state(self)
    }
}

pub(crate) async fn not_found() -> Failure {
    Failure(Error::new(codes::NOT_FOUND, "there is nothing under this path"))
}

pub(crate) async fn not_allowed() -> Failure {
    Failure(Error::new(codes::METHOD_NOT_ALLOWED, "this path exists, but not for this method"))
}

async fn health(State(doors): State<Doors>) -> Response {
    answer(doors.health.report().await)
}

/// Ready: started, not stopping, and healthy.
async fn ready(State(doors): State<Doors>) -> Response {
    let mut report = doors.health.report().await;
    let state = match (doors.started.load(Ordering::Acquire), doors.shutdown.is_triggered()) {
        (_, true) => "FAILED: stopping",
        (false, false) => "FAILED: starting",
        (true, false) => "OK",
    };
    report.0.insert("service".into(), state.into());
    answer(report)
}

fn answer(report: HealthReport) -> Response {
    let status = if report.is_healthy() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, "no-store")], Json(report)).into_response()
}
