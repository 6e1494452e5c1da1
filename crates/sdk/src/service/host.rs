//! From a configuration to a running process.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use tracing::info;
use trellis_core::error::Result;
use trellis_core::{Error, InstanceId, ServiceName, codes};
use trellis_net::{ModuleService, Pool, RemoteDiscovery, ServeOptions, bind, local_address, serve};
use trellis_runtime::health::HealthChecks;
use trellis_runtime::{Shutdown, TaskKind, Tasks, WallClock};
use trellis_storage::{Options as StoreOptions, Store};

use super::doors::{self, Doors};
use super::{ServiceConfig, middleware, registration};
use crate::mesh::{LocalModules, MeshClient, Network};
use crate::{Cache, Context, EventBus, HttpClient, Module};

/// Longest time running requests may take to finish once we are asked to stop; the platform's grace is 10 s.
const DRAIN: Duration = Duration::from_secs(8);
const CACHE_TIMEOUT: Duration = Duration::from_millis(500);

pub(super) async fn run(
    modules: Vec<Module>,
    config: ServiceConfig,
    inherited: Option<std::net::TcpListener>,
    version: &str,
) -> Result<()> {
    let shutdown = Shutdown::new();
    stop_on_signals(&shutdown)?;
    let listener = listener(inherited, config.port).await?;
    let address = local_address(&listener)?;
    let host = Host::open(config, shutdown.clone()).await?;
    let tasks = Tasks::new(shutdown.clone());
    let names: Vec<_> = modules.iter().map(|m| m.name).collect();
    let router = host.build(modules, &tasks).await?.merge(host.doors().router());
    host.announce(&names, address, &tasks)?;
    let options = ServeOptions { drain: DRAIN, ..ServeOptions::default() };
    tasks.spawn("http", TaskKind::Essential, serve(listener, infallible(router), options, shutdown));
    host.started();
    info!(%address, modules = names.join(","), version, app = %host.config.app, "ready");
    let outcome = tasks.join(DRAIN + Duration::from_secs(1)).await;
    if let Some(store) = &host.store {
        store.close().await;
    }
    info!("stopped");
    outcome
}

/// What the modules of a process share.
pub(crate) struct Host {
    config: ServiceConfig,
    store: Option<Store>,
    cache: Option<Cache>,
    health: HealthChecks,
    pub(crate) mesh: MeshClient,
    local: LocalModules,
    events: EventBus,
    started: Arc<AtomicBool>,
    shutdown: Shutdown,
}

impl Host {
    pub(crate) async fn open(config: ServiceConfig, shutdown: Shutdown) -> Result<Self> {
        std::fs::create_dir_all(&config.data_dir).map_err(|e| {
            let what = format!("cannot make the folder {} (TRELLIS_DATA_DIR)", config.data_dir.display());
            Error::new(codes::DATA_DIR_UNUSABLE, what).because(e)
        })?;
        let health = HealthChecks::default();
        let store = match &config.database_url {
            Some(url) => Some(Store::open(StoreOptions::url(url)?).await?),
            None => None,
        };
        if let Some(store) = store.clone() {
            health.add("database", move || {
                let store = store.clone();
                Box::pin(async move { store.ping().await.map_err(|e| Error::from(e).detail().to_owned()) })
            });
        }
        let cache = config.redis_url.as_deref().map(|url| Cache::new(url, CACHE_TIMEOUT)).transpose()?;
        if let Some(cache) = cache.clone() {
            health.add("cache", move || {
                let cache = cache.clone();
                Box::pin(async move { cache.ping().await.map_err(|e| e.detail().to_owned()) })
            });
        }
        let network = match (&config.outbound, &config.admin) {
            (Some(proxy), _) => Network::Outbound(Pool::new(proxy.as_str().into(), Arc::default())),
            (None, Some(admin)) => Network::Discovery(RemoteDiscovery::new(admin, shutdown.clone())),
            (None, None) => Network::None,
        };
        let local = LocalModules::default();
        let mesh = MeshClient::new(local.clone(), network);
        Ok(Self {
            config,
            store,
            cache,
            health,
            mesh,
            local,
            events: EventBus::default(),
            started: Arc::default(),
            shutdown,
        })
    }

    pub(crate) fn doors(&self) -> Doors {
        Doors {
            app: self.config.app.clone(),
            health: self.health.clone(),
            started: self.started.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    pub(crate) fn started(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// Migrates and builds every module, makes them known to each other, starts their tasks and merges their routes.
    pub(crate) async fn build(&self, modules: Vec<Module>, tasks: &Tasks) -> Result<Router> {
        let alone = modules.len() == 1;
        let mut whole = Router::new();
        let mut local = HashMap::new();
        for Module { name, migrations, build } in modules {
            let context = self.context(name, alone)?;
            if let Some(store) = self.store.as_ref().filter(|_| !migrations.is_empty()) {
                store.migrate(name, migrations).await?;
            }
            let module = context.name.clone();
            let parts = build(context).await?;
            for (task, work) in parts.tasks {
                tasks.spawn(format!("{name}/{task}"), TaskKind::Essential, work);
            }
            for (check, run) in parts.checks {
                let check = if alone { check.to_owned() } else { format!("{name}/{check}") };
                self.health.add(&check, run);
            }
            let enter = || from_fn_with_state(module.clone(), middleware::enter);
            let router = parts.router.method_not_allowed_fallback(doors::not_allowed);
            local.insert(
                module.clone(),
                module_service(router.clone().fallback(doors::not_found).layer(enter())),
            );
            whole = whole.merge(router.layer(enter()));
        }
        // Set once, here: the mesh client of every module sees all of them from the first request on.
        let _ = self.local.set(local);
        Ok(whole)
    }

    pub(crate) fn context(&self, name: &'static str, alone: bool) -> Result<Context> {
        let invalid = |what: String| Error::new(codes::INTERNAL, what);
        let name: ServiceName = name.parse().map_err(|e| invalid(format!("{e}")))?;
        let config = &self.config;
        let (instance, data_dir) = if alone {
            (config.instance.clone(), config.data_dir.clone())
        } else {
            (instance_of(&name, &config.instance)?, config.data_dir.join(name.as_str()))
        };
        std::fs::create_dir_all(&data_dir).map_err(|e| {
            Error::new(codes::DATA_DIR_UNUSABLE, format!("cannot make the folder {}", data_dir.display()))
                .because(e)
        })?;
        Ok(Context {
            name,
            instance,
            mesh: self.mesh.clone(),
            events: self.events.clone(),
            cache: self.cache.clone(),
            settings: config.settings.clone(),
            data_dir,
            clock: WallClock::system(),
            shutdown: self.shutdown.clone(),
            database: self.store.clone(),
        })
    }

    /// Registers the modules, unless the platform that started us does.
    fn announce(&self, names: &[&'static str], address: SocketAddr, tasks: &Tasks) -> Result<()> {
        let Some(admin) = self.config.admin.as_deref().filter(|_| !self.config.managed) else {
            return Ok(());
        };
        for name in names {
            let client = HttpClient::new(&format!("http://{admin}"))?;
            let module: ServiceName =
                name.parse().map_err(|e| Error::new(codes::INTERNAL, format!("{e}")))?;
            let id = format!("{module}-{address}");
            let keep = registration::keep(client, module, id, address, self.shutdown.clone());
            tasks.spawn(format!("{name}/registration"), TaskKind::Background, keep);
        }
        Ok(())
    }
}

/// `shop-1` hosting `users` makes `users-1`: stable, and different for each copy of the process.
fn instance_of(module: &ServiceName, process: &InstanceId) -> Result<InstanceId> {
    let slot = process.as_str().rsplit_once('-').map_or("1", |(_, slot)| slot);
    let id = format!("{module}-{slot}");
    id.parse().map_err(|e| Error::new(codes::INTERNAL, format!("{id:?}: {e}")))
}

fn module_service(router: Router) -> ModuleService {
    let service = infallible(router).map_err(|never: Infallible| match never {});
    BoxCloneSyncService::new(service)
}

/// The router as a plain service: without state it is ready for requests.
fn infallible(
    router: Router,
) -> impl tower::Service<
    http::Request<trellis_net::Body>,
    Response = http::Response<trellis_net::Body>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    router.with_state::<()>(())
}

async fn listener(inherited: Option<std::net::TcpListener>, port: u16) -> Result<TcpListener> {
    match inherited {
        Some(listener) => TcpListener::from_std(listener)
            .map_err(|e| Error::new(codes::CANNOT_LISTEN, "the inherited socket cannot be used").because(e)),
        None => bind("PORT", SocketAddr::from(([127, 0, 0, 1], port))).await,
    }
}

fn stop_on_signals(shutdown: &Shutdown) -> Result<()> {
    let failed = |e| Error::new(codes::INTERNAL, "cannot handle signals").because(e);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("asked to stop");
        shutdown.trigger();
    });
    Ok(())
}
