//! What the admin API knows of the running platform.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use trellis_core::error::chain;
use trellis_core::{InstanceId, Phase, ServiceName};
use trellis_runtime::WallClock;
use trellis_runtime::health::HealthChecks;
use trellis_storage::{Dialect, Store};
use trellis_supervisor::ProcessState;

use crate::door_counts::Doors;
use crate::mesh::Control;
use crate::settings::Setting;
use crate::traffic::Traffic;

/// The parts of the running platform, by their handles.
#[derive(Clone)]
pub struct Platform {
    /// The application.
    pub app: ServiceName,
    /// How its modules are run.
    pub phase: Phase,
    /// Where clients are served.
    pub gateway: SocketAddr,
    /// Where this API is served.
    pub admin: SocketAddr,
    /// The folder that holds all state.
    pub data_dir: PathBuf,
    /// The effective configuration.
    pub settings: Vec<Setting>,
    /// The database of each process, fit to be shown.
    pub databases: BTreeMap<InstanceId, String>,
    /// When the platform started, in milliseconds since 1970.
    pub started_unix_ms: i64,
    /// The time.
    pub clock: WallClock,
    /// Where the platform is in its life.
    pub life: Life,
    /// Whether what it needs works.
    pub health: HealthChecks,
    /// Its child processes.
    pub children: trellis_supervisor::Handle,
    /// Its registry.
    pub services: trellis_registry::Handle,
    /// Its database.
    pub store: Store,
    /// What its doors count.
    pub doors: Doors,
    /// Who shares its store.
    pub members: trellis_storage::members::Handle,
    /// Its configuration.
    pub config: trellis_config::Handle,
    /// Its gateway.
    pub traffic: Traffic,
    /// What its proxies are told.
    pub mesh: Control,
    /// The instance that each proxy stands beside.
    pub beside: BTreeMap<InstanceId, InstanceId>,
}

/// Where the platform is in its life. Clones share it.
#[derive(Debug, Clone)]
pub struct Life(Arc<AtomicU8>);

const STARTING: u8 = 0;
const READY: u8 = 1;
const STOPPING: u8 = 2;

impl Life {
    /// Modules are being started.
    pub fn starting() -> Self {
        Self(Arc::new(AtomicU8::new(STARTING)))
    }

    /// Every module is ready, or is known to have trouble.
    pub fn ready(&self) {
        self.0.fetch_max(READY, Ordering::Relaxed);
    }

    /// It has been told to stop.
    pub fn stopping(&self) {
        self.0.store(STOPPING, Ordering::Relaxed);
    }

    /// `starting`, `ready` or `stopping`.
    pub fn as_str(&self) -> &'static str {
        match self.0.load(Ordering::Relaxed) {
            STARTING => "starting",
            READY => "ready",
            _ => "stopping",
        }
    }
}

impl Platform {
    /// Adds the checks behind `/health`: the platform's database, and every process.
    pub(crate) fn add_checks(&self) {
        let store = &self.store;
        if store.dialect() == Dialect::Postgres {
            self.add_sharing_checks(store);
        }
        let store = store.clone();
        self.health.add("database", move || {
            let store = store.clone();
            Box::pin(async move { store.ping().await.map_err(|error| chain(&error)) })
        });
        let children = self.children.clone();
        self.health.add("modules", move || {
            let troubled: Vec<_> = children
                .processes()
                .into_iter()
                .filter(|process| process.state != ProcessState::Ready)
                .map(|process| process.id.to_string())
                .collect();
            let verdict =
                if troubled.is_empty() { Ok(()) } else { Err(format!("not ready: {}", troubled.join(", "))) };
            Box::pin(std::future::ready(verdict))
        });
    }

    /// What only matters where others share the store: whether their changes arrive here, and whether this process is
    /// one of them.
    fn add_sharing_checks(&self, store: &Store) {
        let store = store.clone();
        self.health.add("feed", move || {
            let state = store.feed_state();
            let verdict = if state.connected {
                Ok(())
            } else {
                Err(format!("no changes of other nodes for {} s", state.since.elapsed().as_secs()))
            };
            Box::pin(std::future::ready(verdict))
        });
        let members = self.members.clone();
        self.health.add("membership", move || {
            let text = "this node could not renew its membership; others do its work until it can";
            let verdict = if members.is_live() { Ok(()) } else { Err(text.to_owned()) };
            Box::pin(std::future::ready(verdict))
        });
    }
}
