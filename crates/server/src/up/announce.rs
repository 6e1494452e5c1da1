//! What is told once everything has been started.

use std::process;
use std::time::Duration;

use serde::Serialize;
use trellis_core::model::{AppModel, Route};
use trellis_core::{InstanceId, Phase, ServiceName};
use trellis_supervisor::{NotReady, ProcessState};

use super::StandardDoors;
use super::processes::Process;
use crate::admin::Platform;

/// Where everything is: the readiness line of `trellis up --json`, and `run.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The platform's process id.
    pub pid: u32,
    /// The application.
    pub app: ServiceName,
    /// How its modules are run.
    pub phase: Phase,
    /// URL for clients.
    pub gateway: String,
    /// URL of the admin API.
    pub admin: String,
    /// The doors for programs that speak another system's protocol already.
    #[serde(flatten)]
    pub standard: StandardDoors,
    /// The folder that holds all state.
    pub data_dir: String,
    /// Every instance of every module.
    pub modules: Vec<ModuleState>,
    /// The proxy of every instance, if they have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<ProxyState>,
    /// Processes that have never been ready.
    pub not_ready: Vec<NotReadyModule>,
    /// From the start to now, in milliseconds.
    pub ready_ms: u64,
    /// Paths of the gateway that are worth a try.
    pub try_paths: Vec<String>,
}

/// One instance of a module.
#[derive(Debug, Clone, Serialize)]
pub struct ModuleState {
    /// The instance.
    pub id: InstanceId,
    /// The process it runs in, which it may share.
    pub process: InstanceId,
    /// Process id, while it runs.
    pub pid: Option<u32>,
    /// Port on 127.0.0.1.
    pub port: u16,
    /// Where it is in its life.
    pub state: ProcessState,
    /// Where its data is.
    pub database: String,
}

/// The proxy beside an instance.
#[derive(Debug, Clone, Serialize)]
pub struct ProxyState {
    /// Its process.
    pub id: InstanceId,
    /// The instance.
    pub of: InstanceId,
    /// Process id, while it runs.
    pub pid: Option<u32>,
    /// Port on 127.0.0.1 at which the instance is reached.
    pub inbound: u16,
    /// Port on 127.0.0.1 through which the instance calls others.
    pub outbound: u16,
    /// Port on 127.0.0.1 of its admin API.
    pub admin: u16,
    /// Where it is in its life.
    pub state: ProcessState,
}

/// A process that did not become ready.
#[derive(Debug, Clone, Serialize)]
pub struct NotReadyModule {
    /// The process.
    pub id: InstanceId,
    /// What is known about it.
    pub reason: String,
    /// The end of its output.
    pub last_lines: Vec<String>,
}

impl Summary {
    pub(crate) fn new(
        platform: &Platform,
        model: &AppModel,
        standard: StandardDoors,
        plan: &[Process],
        not_ready: Vec<NotReady>,
        took: Duration,
    ) -> Self {
        let statuses = platform.children.processes();
        let states = |process: &Process| -> Vec<ModuleState> {
            let Some(status) = statuses.iter().find(|status| status.id == process.spec.id) else {
                return Vec::new();
            };
            let state = |(_, id): &(ServiceName, InstanceId)| ModuleState {
                id: id.clone(),
                process: status.id.clone(),
                pid: status.pid,
                port: status.port,
                state: status.state,
                database: process.database.clone(),
            };
            process.instances.iter().map(state).collect()
        };
        let proxy = |process: &Process| {
            let sidecar = process.sidecar.as_ref()?;
            let status = statuses.iter().find(|status| status.id == process.spec.id)?;
            Some(ProxyState {
                id: status.id.clone(),
                of: sidecar.of.clone(),
                pid: status.pid,
                inbound: sidecar.inbound,
                outbound: sidecar.outbound,
                admin: status.port,
                state: status.state,
            })
        };
        Self {
            pid: process::id(),
            app: platform.app.clone(),
            phase: platform.phase,
            gateway: format!("http://{}", platform.gateway),
            admin: format!("http://{}", platform.admin),
            standard,
            data_dir: platform.data_dir.display().to_string(),
            modules: plan.iter().flat_map(states).collect(),
            proxies: plan.iter().filter_map(proxy).collect(),
            not_ready: not_ready
                .into_iter()
                .map(|NotReady { id, reason, last_lines }| NotReadyModule { id, reason, last_lines })
                .collect(),
            ready_ms: took.as_millis() as u64,
            try_paths: try_paths(model),
        }
    }
}

/// Most paths that are proposed.
const PROPOSED: usize = 5;

/// Where a GET may have an answer, of each route one.
fn try_paths(model: &AppModel) -> Vec<String> {
    let takes_get = |methods: &[String]| methods.is_empty() || methods.iter().any(|method| method == "GET");
    let is_plain = |route: &&Route| {
        route.hosts.is_empty() && route.headers.is_empty() && route.query.is_empty() && route.when.is_none()
    };
    let routes = model.route.iter().filter(|route| takes_get(&route.methods)).filter(is_plain);
    let routes = routes.filter_map(|route| route.path.as_deref());
    let own = model.module.values().flat_map(|module| module.routes.iter().map(String::as_str));
    let paths = routes.chain(own).map(|path| match path.strip_suffix("/**") {
        Some("") => "/".to_owned(),
        Some(prefix) => prefix.to_owned(),
        None => path.to_owned(),
    });
    paths.filter(|path| !path.contains(['*', '{', '\''])).take(PROPOSED).collect()
}
