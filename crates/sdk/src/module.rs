//! A part of an application, and what it is given and gives.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use trellis_core::error::Result;
use trellis_core::{Error, InstanceId, ServiceName, codes};
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::{Migration, Store};

use crate::{Cache, EventBus, MeshClient};

type Build = Box<dyn FnOnce(Context) -> BoxFuture<'static, Result<Parts>> + Send>;
type Check = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// A part of an application with a boundary of its own: its routes, its tables, its tasks. The same module runs as a
/// service of its own or beside others in one process.
pub struct Module {
    pub(crate) name: &'static str,
    pub(crate) migrations: &'static [Migration],
    pub(crate) build: Build,
}

/// What a module is given when it is built.
#[derive(Clone)]
pub struct Context {
    /// The module's name.
    pub name: ServiceName,
    /// The running copy: stable over restarts, different for each replica.
    pub instance: InstanceId,
    /// Calls other modules.
    pub mesh: MeshClient,
    /// Events within the process.
    pub events: EventBus,
    /// The cache, if one is configured.
    pub cache: Option<Cache>,
    /// The module's own settings.
    pub settings: Settings,
    /// A folder for the module's files; it exists.
    pub data_dir: PathBuf,
    /// The date.
    pub clock: WallClock,
    /// Triggered when the process is asked to stop.
    pub shutdown: Shutdown,
    pub(crate) database: Option<Store>,
}

/// Settings by name, from the environment.
#[derive(Clone, Default)]
pub struct Settings(pub(crate) Arc<BTreeMap<String, String>>);

/// What a module consists of once it is built.
pub struct Parts {
    pub(crate) router: Router,
    pub(crate) tasks: Vec<(&'static str, BoxFuture<'static, Result<()>>)>,
    pub(crate) checks: Vec<(&'static str, Check)>,
}

impl Module {
    /// A module called `name`, whose tables `migrations` make and which `build` puts together. In the monolith all
    /// modules share one database, so tables bear their module's name in front.
    pub fn new<F, Fut>(name: &'static str, migrations: &'static [Migration], build: F) -> Self
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Parts>> + Send + 'static,
    {
        Self { name, migrations, build: Box::new(move |context| build(context).boxed()) }
    }
}

impl Context {
    /// The module's database, migrated.
    pub fn database(&self) -> Result<Store> {
        self.database.clone().ok_or_else(|| {
            let name = &self.name;
            Error::new(
                codes::STORE_UNAVAILABLE,
                format!("{name} needs a database: set DATABASE_URL, or `database` in trellis.toml"),
            )
        })
    }
}

impl Settings {
    /// The value of `key`; an empty one counts as absent.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|v| !v.is_empty())
    }
}

impl Parts {
    /// A module that answers with `router`.
    pub fn new(router: Router) -> Self {
        Self { router, tasks: Vec::new(), checks: Vec::new() }
    }

    /// Adds a task that runs beside the router until the context's shutdown. If it ends with an error the process
    /// stops, to be started again by whoever supervises it.
    #[must_use]
    pub fn task(
        mut self,
        name: &'static str,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Self {
        self.tasks.push((name, work.boxed()));
        self
    }

    /// Adds a health check. `database` and `cache` are there already.
    #[must_use]
    pub fn check(
        mut self,
        name: &'static str,
        check: impl Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push((name, Box::new(check)));
        self
    }
}

impl std::fmt::Debug for Settings {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
