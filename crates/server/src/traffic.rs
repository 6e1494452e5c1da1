//! The configuration of a running gateway: what is in force, and how something else comes into force.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use trellis_core::model::AppModel;
use trellis_core::{Error, codes};
use utoipa::ToSchema;

use crate::manifest::{self, Finding, Manifest};
use crate::mesh;
use crate::settings::Overrides;

/// Changes what a gateway does while it runs. Clones share it.
#[derive(Clone)]
pub struct Traffic {
    handle: trellis_proxy::Handle,
    /// Where relative paths start from, and what was given outside the file: both stay as they were at the start.
    directory: PathBuf,
    overrides: Overrides,
    current: Arc<Mutex<Current>>,
    /// The manifest in force, for those who follow it.
    models: watch::Sender<Arc<AppModel>>,
}

struct Current {
    revision: u64,
    /// What the process was started with; some of it holds until it ends.
    started: AppModel,
}

/// What has come into force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// Counts what has been in force, from 1.
    pub revision: u64,
    /// How many routes there are.
    pub routes: usize,
    /// Settings that differ from those that the process was started with and need a restart to hold.
    pub restart_needed: Vec<String>,
}

impl Traffic {
    /// For a gateway that runs what `manifest` says.
    pub fn new(handle: trellis_proxy::Handle, manifest: &Manifest, overrides: Overrides) -> Self {
        let current = Current { revision: 1, started: manifest.model.clone() };
        Self {
            handle,
            directory: manifest.directory.clone(),
            overrides,
            current: Arc::new(Mutex::new(current)),
            models: watch::Sender::new(Arc::new(manifest.model.clone())),
        }
    }

    /// The gateway itself.
    pub fn handle(&self) -> &trellis_proxy::Handle {
        &self.handle
    }

    /// The manifest in force, from now on.
    pub fn models(&self) -> watch::Receiver<Arc<AppModel>> {
        self.models.subscribe()
    }

    /// What is in force now.
    pub fn current(&self) -> u64 {
        self.lock().revision
    }

    /// Puts `text`, a whole manifest, into force: its routes, its clusters and what routes have from `[gateway]`. With a
    /// single mistake nothing changes; the error has all of them.
    pub fn apply(&self, name: &str, text: String) -> Result<Applied, Error> {
        let mut manifest = Manifest::parse(name, text, self.directory.clone(), &self.overrides)
            .map_err(|report| refused(report.error(), &report.findings()))?;
        let table = manifest.routes()?;
        let routes = table.len();
        // Held until the table is in force, so that revisions come into force in their order.
        let mut current = self.lock();
        self.handle.replace(table)?;
        current.revision += 1;
        let restart_needed = restart_needed(&current.started, &manifest.model);
        self.models.send_replace(Arc::new(manifest.model));
        Ok(Applied { revision: current.revision, routes, restart_needed })
    }

    /// [`Self::apply`] with what is in `file` now.
    pub fn reread(&self, file: &Path) -> Result<Applied, Error> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        self.apply(&name, manifest::read(file, &name)?)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the gateway of `manifest` runs.
pub fn options(manifest: &Manifest) -> trellis_proxy::Options {
    let directory = manifest.directory.clone();
    trellis_proxy::Options { directory, ..(&manifest.model.gateway).into() }
}

/// The routes of `model`, which the manifest's checks have been through already.
pub fn compile(model: &AppModel) -> Result<trellis_proxy::RouteTable, Error> {
    let compiled = if mesh::tls::applies(model) {
        let cluster =
            mesh::tls::clusters(model.cluster.clone(), model.module.keys(), model.mesh.tls.as_ref());
        trellis_proxy::compile(&AppModel { cluster, ..model.clone() })
    } else {
        trellis_proxy::compile(model)
    };
    compiled.map_err(|mistakes| {
        let text: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        Error::new(codes::INVALID_MANIFEST, text.join("; "))
    })
}

fn refused(error: Error, findings: &[Finding]) -> Error {
    match serde_json::to_value(findings) {
        Ok(findings) => error.with("mistakes", findings),
        Err(_) => error,
    }
}

/// What only a start can change.
fn restart_needed(started: &AppModel, wanted: &AppModel) -> Vec<String> {
    let mut keys = Vec::new();
    let mut differs = |key: &str, differs: bool| {
        if differs {
            keys.push(key.to_owned());
        }
    };
    let (old, new) = (&started.gateway, &wanted.gateway);
    differs("gateway.listen", old.listen != new.listen);
    differs("gateway.tls", old.tls != new.tls);
    differs("gateway.workers", old.workers != new.workers);
    differs("gateway.max_connections", old.max_connections != new.max_connections);
    differs("gateway.max_requests", old.max_requests != new.max_requests);
    differs("gateway.max_header_bytes", old.max_header_bytes != new.max_header_bytes);
    differs("gateway.max_streams", old.max_streams != new.max_streams);
    differs("gateway.header_timeout", old.header_timeout != new.header_timeout);
    differs("gateway.idle_timeout", old.idle_timeout != new.idle_timeout);
    differs("gateway.stall_timeout", old.stall_timeout != new.stall_timeout);
    differs("gateway.max_unread_bytes", old.max_unread_bytes != new.max_unread_bytes);
    differs("gateway.unread_timeout", old.unread_timeout != new.unread_timeout);
    differs("gateway.drain", old.drain != new.drain);
    differs("gateway.trusted_hops", old.trusted_hops != new.trusted_hops);
    differs("gateway.access_log", old.access_log != new.access_log);
    differs("gateway.access_log_sample", old.access_log_sample != new.access_log_sample);
    differs("admin", started.admin != wanted.admin);
    differs("tcp", started.tcp != wanted.tcp);
    differs("app", started.app != wanted.app);
    differs("module", started.module != wanted.module || started.defaults != wanted.defaults);
    let (old, new) = (&started.mesh, &wanted.mesh);
    differs("mesh.workers", old.workers != new.workers);
    differs("mesh.access_log", old.access_log != new.access_log);
    differs("mesh.access_log_sample", old.access_log_sample != new.access_log_sample);
    differs("mesh.tls", old.tls != new.tls);
    differs("registry", started.registry != wanted.registry);
    differs("config", started.config != wanted.config);
    differs("consul", started.consul != wanted.consul);
    differs("dns", started.dns != wanted.dns);
    differs("eureka", started.eureka != wanted.eureka);
    keys
}
