//! `[defaults]` and `[module.NAME]`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HumanDuration, ServiceName};

/// `[defaults]`: what every module has unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// Program and arguments. A bare program name is looked for beside `trellis`, then on PATH; a name with a `/` is
    /// relative to the manifest. Modules without a command of their own share one process in the monolith.
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// Environment of every module.
    pub env: BTreeMap<String, String>,
    /// Path that answers 2xx when the module can serve.
    pub health: String,
    /// Instances of each module.
    #[schemars(range(min = 1, max = 256))]
    pub replicas: u32,
    /// `sqlite` (a file in the data directory), a `postgres://` URL, or `none`.
    pub database: String,
    /// How a module gets its socket.
    pub socket: SocketMode,
    /// How long a module may take to become ready.
    pub start_timeout: HumanDuration,
    /// How long a module may take to stop after SIGTERM; then it is killed.
    pub grace: HumanDuration,
    /// How often the health path is asked once the module is ready.
    pub health_interval: HumanDuration,
    /// How long the health path may take.
    pub health_timeout: HumanDuration,
    /// What happens when a module ends by itself.
    pub restart: RestartModel,
}

/// `[module.NAME]`: absent keys are taken from `[defaults]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Module {
    /// Program and arguments; a module that has its own is its own process in every phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// Added to `[defaults] env`; wins over it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Working directory, relative to the manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Modules that must be ready before this one starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<ServiceName>,
    /// Gateway paths that lead here unchanged: `"/reports/**"`. For rewriting and more, write a `[[route]]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// See `[defaults]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// See `[defaults]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub replicas: Option<u32>,
    /// See `[defaults]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// See `[defaults]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<SocketMode>,
    /// See `[defaults]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_timeout: Option<HumanDuration>,
    /// See `[defaults]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<HumanDuration>,
}

/// How a module gets its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SocketMode {
    /// `PORT` names a free port on 127.0.0.1; the module binds it.
    #[default]
    Port,
    /// The platform binds and the module inherits descriptor 3 (`LISTEN_FDS`, the systemd protocol). The socket
    /// outlives the module: connections wait in its queue while the module restarts. `PORT` is set as well.
    Inherit,
}

/// `restart`: what happens when a module ends by itself. The wait doubles with each end, up to `max_backoff`, and
/// starts over after the module has been ready for `reset_after`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RestartModel {
    /// First wait.
    pub backoff: HumanDuration,
    /// Longest wait.
    pub max_backoff: HumanDuration,
    /// Ready for this long counts as recovered.
    pub reset_after: HumanDuration,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            command: None,
            env: BTreeMap::new(),
            health: "/health".into(),
            replicas: 1,
            database: "sqlite".into(),
            socket: SocketMode::Port,
            start_timeout: HumanDuration::from_secs(30),
            grace: HumanDuration::from_secs(10),
            health_interval: HumanDuration::from_secs(5),
            health_timeout: HumanDuration::from_secs(2),
            restart: RestartModel::default(),
        }
    }
}

impl Default for RestartModel {
    fn default() -> Self {
        Self {
            backoff: HumanDuration::from_millis(100),
            max_backoff: HumanDuration::from_secs(30),
            reset_after: HumanDuration::from_secs(10),
        }
    }
}
