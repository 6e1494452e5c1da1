//! How the platform is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trellis_core::{InstanceId, Phase, ServiceName};
use trellis_supervisor::ProcessStatus;
use utoipa::ToSchema;

use super::members::{MemberView, views};
use super::platform::Platform;
use crate::settings::Setting;

/// `GET /v1/status`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlatformStatus {
    /// Version of the platform.
    pub version: String,
    /// `starting`, `ready` or `stopping`.
    pub state: String,
    /// The application.
    #[schema(value_type = String)]
    pub app: ServiceName,
    /// How its modules are run.
    #[schema(value_type = String, example = "microservices")]
    pub phase: Phase,
    /// The platform's process id.
    pub pid: u32,
    /// When it started, in milliseconds since 1970.
    pub started_unix_ms: i64,
    /// For how long it has run, in milliseconds.
    pub uptime_ms: u64,
    /// URL for clients.
    pub gateway: String,
    /// URL of this API.
    pub admin: String,
    /// The folder that holds all state.
    pub data_dir: String,
    /// Its child processes, in the order of their starts.
    pub processes: Vec<ProcessView>,
    /// Who shares the store, if there is more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberView>,
    /// What the gateway has counted since the start.
    #[schema(value_type = Object)]
    pub traffic: Value,
}

/// One child process.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProcessView {
    /// What it is called.
    #[schema(value_type = String, example = "orders-1")]
    pub id: InstanceId,
    /// The modules it runs.
    #[schema(value_type = Vec<String>)]
    pub modules: Vec<ServiceName>,
    /// The process that it is the proxy of, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "orders-1")]
    pub proxy_of: Option<InstanceId>,
    /// `waiting`, `starting`, `ready`, `unready`, `backoff`, `stopping` or `stopped`.
    pub state: String,
    /// Process id, while it runs.
    pub pid: Option<u32>,
    /// Port on 127.0.0.1.
    pub port: u16,
    /// Where its data is.
    pub database: String,
    /// How often it was started again.
    pub restarts: u32,
    /// Since when it has been in this state, in milliseconds since 1970.
    pub since_unix_ms: i64,
    /// Why it ended last.
    pub last_exit: Option<String>,
    /// The end of its output, unless it is ready.
    pub last_lines: Vec<String>,
}

type Shared = State<Arc<Platform>>;

/// How the platform and its processes are.
#[utoipa::path(get, path = "/v1/status", tag = "platform", operation_id = "status", responses((status = 200, body = PlatformStatus)))]
pub(super) async fn status(State(platform): Shared) -> Json<PlatformStatus> {
    let now = platform.clock.unix_millis();
    let members = views(&platform.members);
    Json(PlatformStatus {
        version: crate::VERSION.into(),
        state: platform.life.as_str().into(),
        app: platform.app.clone(),
        phase: platform.phase,
        pid: std::process::id(),
        started_unix_ms: platform.started_unix_ms,
        uptime_ms: u64::try_from(now - platform.started_unix_ms).unwrap_or(0),
        gateway: format!("http://{}", platform.gateway),
        admin: format!("http://{}", platform.admin),
        data_dir: platform.data_dir.display().to_string(),
        processes: platform
            .children
            .processes()
            .into_iter()
            .map(|process| view(&platform, process))
            .collect(),
        members: if members.len() > 1 { members } else { Vec::new() },
        traffic: serde_json::to_value(platform.traffic.handle().stats()).unwrap_or_default(),
    })
}

fn view(platform: &Platform, process: ProcessStatus) -> ProcessView {
    let ready = process.state == trellis_supervisor::ProcessState::Ready;
    let state = serde_json::to_value(process.state).ok().and_then(|state| state.as_str().map(str::to_owned));
    ProcessView {
        database: platform.databases.get(&process.id).cloned().unwrap_or_default(),
        proxy_of: platform.beside.get(&process.id).cloned(),
        id: process.id,
        modules: process.provides,
        state: state.unwrap_or_default(),
        pid: process.pid,
        port: process.port,
        restarts: process.restarts,
        since_unix_ms: process.since_unix_ms,
        last_exit: process.last_exit,
        last_lines: if ready { Vec::new() } else { process.last_lines },
    }
}

/// Every setting, its value and where that came from; secrets are masked.
#[utoipa::path(get, path = "/v1/config", tag = "platform", operation_id = "config", responses((status = 200, body = [Setting])))]
pub(super) async fn config(State(platform): Shared) -> Json<Vec<Setting>> {
    Json(platform.settings.clone())
}

/// Whether what the platform needs works: each check is `OK`, or `FAILED: ` and why.
#[utoipa::path(
    get, path = "/health", tag = "health", operation_id = "health",
    responses(
        (status = 200, description = "Every check is OK", body = std::collections::BTreeMap<String, String>),
        (status = 503, description = "A check failed", body = std::collections::BTreeMap<String, String>),
    ),
)]
pub(super) async fn health(State(platform): Shared) -> (StatusCode, Json<Value>) {
    let report = platform.health.report().await;
    let status = if report.is_healthy() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!(report)))
}

/// Whether the process is alive: it answers.
#[utoipa::path(get, path = "/livez", tag = "health", operation_id = "live", responses((status = 200, description = "Alive")))]
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "OK" }))
}

/// Whether the platform has started everything and is not stopping.
#[utoipa::path(
    get, path = "/readyz", tag = "health", operation_id = "ready",
    responses((status = 200, description = "Ready"), (status = 503, description = "Starting or stopping")),
)]
pub(super) async fn ready(State(platform): Shared) -> (StatusCode, Json<Value>) {
    match platform.life.as_str() {
        "ready" => (StatusCode::OK, Json(json!({ "status": "OK" }))),
        state => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": state }))),
    }
}
