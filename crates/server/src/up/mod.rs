//! `trellis up`: the control role and the gateway role in one process.

mod announce;
mod configuration;
mod data_dir;
mod observer;
mod processes;
mod role;
mod sessions;
mod sidecars;
mod stages;
mod standard;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::info;
use trellis_core::{Discovery, Error, codes};
use trellis_net::{bind, local_address};
use trellis_proxy::Gateway;
use trellis_runtime::health::HealthChecks;
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::members::{self, Members};
use trellis_storage::{Dialect, Store};
use trellis_supervisor::Supervisor;

pub use announce::{ModuleState, NotReadyModule, ProxyState, Summary};
pub(crate) use role::Role;
pub use standard::StandardDoors;

use crate::admin::{self, Life, Platform};
use crate::database::Database;
use crate::doors;
use crate::gateway::Inherited;
use crate::manifest::Manifest;
use crate::mesh::{Apps, Control};
use crate::settings::{Overrides, effective};
use crate::traffic::{self, Traffic};
use data_dir::DataDir;
use observer::Reporter;
use processes::Machine;
use stages::Stage;

/// What the platform is started with.
pub struct Options {
    /// The application.
    pub manifest: Manifest,
    /// What was given outside the manifest.
    pub overrides: Overrides,
    /// The program `trellis` itself, which becomes its children's launcher and guardian.
    pub program: PathBuf,
    /// The value of PATH, where bare program names are looked for.
    pub search_path: Option<OsString>,
    /// Keys for secrets, from the environment; used if `[config] secret_keys` names no file.
    pub secret_keys: Option<String>,
    /// How many files modules may have open at once, if that is another number than for this process.
    pub open_files: Option<u64>,
    /// When the start began.
    pub began: Instant,
}

/// How long the admin API may take to finish what it answers.
const ADMIN_DRAIN: Duration = Duration::from_secs(2);
/// What a stage may take beyond its own limit before it is cut off.
const MARGIN: Duration = Duration::from_secs(5);

/// Runs the platform until `stop`, or until a part of it fails without which it cannot go on. `announce` is called
/// once, when every module is ready or is known to have trouble.
pub async fn run(options: Options, stop: Shutdown, announce: impl FnOnce(&Summary)) -> Result<(), Error> {
    let Options { mut manifest, overrides, program, search_path, secret_keys, open_files, began } = options;
    let clock = WallClock::system();

    // Everything that can be refused is refused before anything runs: routes, folder, sockets, database, programs.
    let routes = manifest.routes()?;
    let model = &manifest.model;
    let data = DataDir::open(&manifest.data_dir(&overrides), model.app.name.as_str(), model.app.phase)?;
    let (doors, clients) = doors::open(model, &routes, &manifest.directory, &mut Inherited::default())
        .await
        .map_err(another_port)?;
    let admin_socket = bind("admin.listen", model.admin.listen).await.map_err(another_port)?;
    let standard = standard::Sockets::open(model).await.map_err(another_port)?;
    let (gateway_address, admin_address) = (clients.plain, local_address(&admin_socket)?);
    let admin_url = format!("http://{admin_address}");
    let beside = program.parent().map(PathBuf::from).unwrap_or_default();
    let machine = Machine {
        program: &program,
        beside: &beside,
        path: search_path.as_deref(),
        directory: &manifest.directory,
        admin: &admin_url,
    };
    let processes = processes::plan(model, &data, &machine)?;
    let store = Store::open(store_options(&model.app.store, &data)).await?;

    // Build.
    let place = members::Options::new(&model.registry.node, &admin_url);
    let (membership, members) = Members::join(&store, place).await?;
    let (registry, services) = trellis_registry::Service::new(
        (&model.registry).into(),
        store.clone(),
        clock.clone(),
        members.clone(),
    )
    .await?;
    let (configuration, config) = trellis_config::Service::new(
        configuration::options(&manifest, secret_keys.as_deref())?,
        store.clone(),
        clock.clone(),
        Some(members.clone()),
    )
    .await?;
    let apps = Apps::default();
    let reporter = Arc::new(Reporter::new(services.clone(), apps.clone(), &processes, &model.app.name));
    let specs = processes.iter().map(|process| process.spec.clone()).collect();
    let helper = |role: Role| vec![program.clone().into_os_string(), role.word().into()];
    let supervision = trellis_supervisor::Options {
        open_files,
        ..trellis_supervisor::Options::new(helper(Role::Launcher), helper(Role::Guardian))
    };
    let (supervisor, children) = Supervisor::new(supervision, specs, reporter)?;
    let discovery: Arc<dyn Discovery> = Arc::new(services.clone());
    let (gateway, handle) = Gateway::new(traffic::options(&manifest), routes, discovery)?;
    // What is stopped first stands first.
    let (front, modules, base) = (Stage::new("gateway"), Stage::new("modules"), Stage::new("control"));
    let traffic = Traffic::new(handle, &manifest, overrides.clone());
    let mesh = Control::new(
        traffic.models(),
        services.names(),
        apps,
        std::path::absolute(&manifest.directory).unwrap_or_else(|_| manifest.directory.clone()),
        base.shutdown(),
    );
    let operated = standard::operated(&manifest, &traffic, &stop);
    let (standard, doors_open) =
        standard.serve(model, &services, &config, operated, &clock, &base).await.map_err(another_port)?;
    let platform = Platform {
        app: model.app.name.clone(),
        phase: model.app.phase,
        gateway: gateway_address,
        admin: admin_address,
        data_dir: data.path().to_owned(),
        settings: effective(&manifest, &overrides),
        databases: processes
            .iter()
            .map(|process| (process.spec.id.clone(), process.database.clone()))
            .collect(),
        started_unix_ms: clock.unix_millis(),
        clock,
        life: Life::starting(),
        health: HealthChecks::default(),
        children: children.clone(),
        services: services.clone(),
        store: store.clone(),
        doors: doors_open,
        members,
        config,
        traffic,
        mesh,
        beside: processes
            .iter()
            .filter_map(|process| Some((process.spec.id.clone(), process.sidecar.as_ref()?.of.clone())))
            .collect(),
    };
    platform.add_checks();
    let platform = Arc::new(platform);

    // Spawn.
    base.spawn("members", membership.run(base.shutdown()).map(Ok));
    base.spawn("config", configuration.run(base.shutdown()));
    base.spawn("registry", registry.run(base.shutdown()));
    let is_shared = store.dialect() == Dialect::Postgres;
    let sessions =
        sessions::end_with_their_causes(services, platform.config.clone(), is_shared, base.shutdown());
    base.spawn("sessions", sessions);
    let most = model.admin.max_connections;
    let operators = admin::serve(admin_socket, platform.clone(), most, ADMIN_DRAIN, base.shutdown());
    base.spawn("admin", operators);
    modules.spawn("supervisor", supervisor.run(modules.shutdown()).map(|end| end.map_err(Error::from)));
    front.spawn("gateway", gateway.serve(doors, front.shutdown()));
    info!(?clients, admin = %admin_address, ?standard, "listening");

    // Announce, and wait.
    let ended = async {
        tokio::select! {
            () = stop.triggered() => {}
            () = front.ended() => {}
            () = modules.ended() => {}
            () = base.ended() => {}
        }
    };
    let told = async {
        let not_ready = children.settled().await;
        let summary = Summary::new(&platform, model, standard, &processes, not_ready, began.elapsed());
        data.announce(&summary)?;
        platform.life.ready();
        announce(&summary);
        std::future::pending::<Result<(), Error>>().await
    };
    let failed = tokio::select! {
        () = ended => Ok(()),
        failed = told => failed,
    };

    // Drain: no new requests, then no modules, then nothing that they lean on.
    info!("stopping");
    platform.life.stopping();
    let grace = processes.iter().map(|process| process.spec.grace).sum::<Duration>();
    let ends = [
        front.stop(model.gateway.drain.0 + MARGIN).await,
        modules.stop(grace + MARGIN).await,
        base.stop(ADMIN_DRAIN + MARGIN).await,
    ];
    store.close().await;
    data.retract();
    ends.into_iter().fold(failed, Result::and)?;
    if stop.is_triggered() {
        Ok(())
    } else {
        Err(Error::new(codes::INTERNAL, "a part of the platform ended without a reason"))
    }
}

fn store_options(setting: &str, data: &DataDir) -> trellis_storage::Options {
    match setting.parse() {
        Ok(Database::Postgres(url)) => {
            // The manifest was checked; a URL that is refused now is refused when the store is opened.
            trellis_storage::Options { url, ..trellis_storage::Options::sqlite(data.path()) }
        }
        _ => trellis_storage::Options::sqlite(&data.path().join("platform.db")),
    }
}

fn another_port(error: Error) -> Error {
    error.with(
        "help",
        vec!["`--any-port` takes any free ports; `enabled = false` in [consul], [dns] or [eureka] leaves that door closed"],
    )
}
