//! The admin API of a gateway that runs alone.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;
use trellis_core::{Discovery, EndpointWatch, ServiceName};

use crate::admin::{self, Gate, Life};
use crate::door_counts::DoorCounts;
use crate::traffic::Traffic;

/// No service is known to a gateway without a registry: its routes lead to fixed addresses.
struct NothingKnown;

pub(super) fn nothing_known() -> Arc<dyn Discovery> {
    Arc::new(NothingKnown)
}

impl Discovery for NothingKnown {
    fn watch(&self, _service: &ServiceName) -> EndpointWatch {
        // A watch keeps its last value when its sender is gone.
        watch::channel(Arc::default()).1
    }
}

/// All of its paths.
pub(super) fn gate(traffic: Traffic, life: Life) -> Gate {
    let health = Router::new()
        .route("/livez", get(async || Json(json!({ "status": "OK" }))))
        .route("/readyz", get(ready))
        .route("/health", get(ready))
        .with_state(life);
    let metrics = admin::traffic::metrics_router(traffic.clone());
    admin::guarded(health.merge(admin::traffic::router(traffic)).merge(metrics), DoorCounts::default())
}

async fn ready(State(life): State<Life>) -> (StatusCode, Json<Value>) {
    match life.as_str() {
        "ready" => (StatusCode::OK, Json(json!({ "status": "OK" }))),
        state => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": state }))),
    }
}
