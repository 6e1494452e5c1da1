//! The admin API of a proxy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use trellis_core::{InstanceId, ServiceName};
use trellis_proxy::Handle;

use crate::admin::{self, Gate, Life};
use crate::door_counts::DoorCounts;

/// Both directions, once they are open. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Doors(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: OnceLock<Open>,
    revision: AtomicU64,
}

#[derive(Debug)]
struct Open {
    service: ServiceName,
    instance: InstanceId,
    inbound: Handle,
    outbound: Handle,
}

impl Doors {
    /// Both directions take requests from now on. Called once.
    pub(super) fn open(
        &self,
        service: &ServiceName,
        instance: &InstanceId,
        inbound: Handle,
        outbound: Handle,
    ) {
        let open = Open { service: service.clone(), instance: instance.clone(), inbound, outbound };
        // A second call would find them open.
        let _ = self.0.open.set(open);
    }

    /// The snapshot that is in force.
    pub(super) fn follows(&self, revision: u64) {
        self.0.revision.store(revision, Ordering::Relaxed);
    }
}

/// All of its paths.
pub(super) fn gate(doors: Doors, life: Life) -> Gate {
    let health = Router::new()
        .route("/livez", get(async || Json(json!({ "status": "OK" }))))
        .route("/readyz", get(ready))
        .route("/health", get(ready))
        .with_state(life);
    let own = Router::new()
        .route("/v1/proxy", get(show))
        .route("/metrics/{direction}", get(metrics))
        .with_state(doors);
    admin::guarded(health.merge(own), DoorCounts::default())
}

/// For whom it stands, which configuration is in force, and what has been carried.
async fn show(State(doors): State<Doors>) -> Json<Value> {
    let Some(open) = doors.0.open.get() else { return Json(json!({ "revision": 0 })) };
    Json(json!({
        "service": open.service,
        "instance": open.instance,
        "revision": doors.0.revision.load(Ordering::Relaxed),
        "inbound": open.inbound.stats(),
        "outbound": open.outbound.stats(),
    }))
}

/// The figures of `inbound` or `outbound` in the text format of Prometheus.
async fn metrics(State(doors): State<Doors>, Path(direction): Path<String>) -> Response {
    let handle = doors.0.open.get().and_then(|open| match direction.as_str() {
        "inbound" => Some(&open.inbound),
        "outbound" => Some(&open.outbound),
        _ => None,
    });
    match handle {
        Some(handle) => {
            ([(CONTENT_TYPE, trellis_proxy::metrics::CONTENT_TYPE)], handle.metrics()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn ready(State(life): State<Life>) -> (StatusCode, Json<Value>) {
    match life.as_str() {
        "ready" => (StatusCode::OK, Json(json!({ "status": "OK" }))),
        state => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": state }))),
    }
}
