//! `trellis proxy`: the sidecar role. The gateway's engine twice, beside one instance: what comes in goes to it, what
//! goes out is led to services by name.

mod admin;
mod app;
mod follow;
mod sockets;
mod table;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use tracing::info;
use trellis_core::model::Admin;
use trellis_core::{Discovery, Error, InstanceId, ServiceName};
use trellis_net::{RemoteDiscovery, local_address};
use trellis_proxy::Gateway;
use trellis_runtime::{Shutdown, TaskKind, Tasks};

use crate::admin::Life;
use crate::manifest::Manifest;
use crate::mesh::{Asker, Config};
use admin::Doors;
use app::App;
use follow::Follower;
use table::Tables;

pub use sockets::Sockets;

/// What a proxy is started with.
#[derive(Debug)]
pub struct Options {
    /// The service that it stands for.
    pub service: ServiceName,
    /// The instance that it stands beside.
    pub instance: InstanceId,
    /// Where that instance is; told by the control plane if absent.
    pub app: Option<SocketAddr>,
    /// Where the proxy listens.
    pub sockets: Sockets,
    /// `host:port` of the control plane's admin API.
    pub control: String,
    /// What holds until the control plane answers.
    pub manifest: Option<Manifest>,
    /// When the start began.
    pub began: Instant,
}

/// Where everything is.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Process id.
    pub pid: u32,
    /// The service that it stands for.
    pub service: ServiceName,
    /// The instance that it stands beside.
    pub instance: InstanceId,
    /// URL for other proxies and the gateway.
    pub inbound: String,
    /// URL for the instance.
    pub outbound: String,
    /// URL of the admin API.
    pub admin: String,
    /// From the start to now, in milliseconds.
    pub ready_ms: u64,
}

/// How long the admin API may take to finish what it answers.
const ADMIN_DRAIN: Duration = Duration::from_secs(2);
/// What may be taken beyond the drain before it is cut off.
const MARGIN: Duration = Duration::from_secs(5);
/// Longest wait for the endpoints of services at the start.
const FIRST_ENDPOINTS: Duration = Duration::from_secs(3);

/// Runs a proxy until `stop`. `announce` is called once, when it takes requests.
pub async fn run(options: Options, stop: Shutdown, announce: impl FnOnce(&Summary)) -> Result<(), Error> {
    let Options { service, instance, app: address, sockets, control, manifest, began } = options;
    let sockets = sockets.open().await?;
    let (inbound_address, outbound_address, admin_address) =
        (local_address(&sockets.inbound)?, local_address(&sockets.outbound)?, local_address(&sockets.admin)?);

    sockets::guarded("--outbound", outbound_address)?;
    sockets::guarded("--admin-listen", admin_address)?;

    // Its own stop, since it is to be seen until the rest has stopped.
    let (life, doors, admin_stop) = (Life::starting(), Doors::default(), Shutdown::new());
    let gate = admin::gate(doors.clone(), life.clone());
    let admin_tasks = Tasks::new(admin_stop.clone());
    let most = Admin::default().max_connections;
    let operators = crate::admin::serve_gate(sockets.admin, gate, most, ADMIN_DRAIN, admin_stop.clone());
    admin_tasks.spawn("admin", TaskKind::Essential, operators);

    // Connections wait in the listeners until it is known what becomes of them.
    let asker = Asker { service: service.clone(), instance: Some(instance.clone()) };
    let mut follower = Follower::new(&control, asker);
    let first = tokio::select! {
        first = first(&mut follower, manifest.as_ref()) => first,
        () = stop.triggered() => return Ok(()),
    };
    let tables = Tables::compile(&first, &service)?;
    if first.mesh.tls.is_none() {
        sockets::guarded("--inbound", inbound_address)?;
    }
    let entrance = sockets::entrance(sockets.inbound, first.mesh.tls.as_ref()).await?;
    let scheme = if first.mesh.tls.is_some() { "https" } else { "http" };
    let (inbound_options, outbound_options) = options_of(&first, &service);
    let drain = outbound_options.serve.drain;
    let app = App::new(instance.clone(), address);
    app.follow(&first);
    let discovery = RemoteDiscovery::new(&control, stop.clone());
    let beside: Arc<dyn Discovery> = Arc::new(app.clone());
    let services: Arc<dyn Discovery> = Arc::new(discovery.clone());
    let (inbound, inbound_handle) = Gateway::new(inbound_options, tables.inbound, beside)?;
    let (outbound, outbound_handle) = Gateway::new(outbound_options, tables.outbound, services)?;
    doors.open(&service, &instance, inbound_handle.clone(), outbound_handle.clone());

    let tasks = Tasks::new(stop.clone());
    tasks.spawn("inbound", TaskKind::Essential, inbound.serve(entrance, stop.clone()));
    tasks.spawn("outbound", TaskKind::Essential, outbound.run(sockets.outbound, stop.clone()));
    doors.follows(first.revision);
    let following = {
        let (stop, doors, service) = (stop.clone(), doors.clone(), service.clone());
        async move {
            let apply = |config: &Config| {
                let tables = Tables::compile(config, &service)?;
                app.follow(config);
                outbound_handle.replace(tables.outbound)?;
                inbound_handle.replace(tables.inbound)?;
                doors.follows(config.revision);
                Ok(())
            };
            tokio::select! {
                () = stop.triggered() => {}
                () = follower.follow(apply) => {}
            }
            Ok(())
        }
    };
    tasks.spawn("configuration", TaskKind::Background, following);
    info!(inbound = %inbound_address, outbound = %outbound_address, admin = %admin_address, "listening");

    // A call that comes before its service has been heard of would be refused.
    discovery.all_heard(Instant::now() + FIRST_ENDPOINTS).await;
    life.ready();
    announce(&Summary {
        pid: std::process::id(),
        service,
        instance,
        inbound: format!("{scheme}://{inbound_address}"),
        outbound: format!("http://{outbound_address}"),
        admin: format!("http://{admin_address}"),
        ready_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    });

    stop.triggered().await;
    info!("stopping");
    life.stopping();
    let ended = tasks.join(drain + MARGIN).await;
    admin_stop.trigger();
    admin_tasks.join(ADMIN_DRAIN + MARGIN).await.and(ended)
}

/// What holds at first: the file's word if there is one, else the control plane's, however long that takes.
async fn first(follower: &mut Follower, manifest: Option<&Manifest>) -> Config {
    match manifest {
        Some(manifest) => Config::new(&manifest.model, &manifest.directory, &BTreeSet::new(), None),
        None => follower.first().await,
    }
}

/// The bounds of both directions.
fn options_of(config: &Config, service: &ServiceName) -> (trellis_proxy::Options, trellis_proxy::Options) {
    let inbound = table::inbound(config, service).gateway;
    let outbound = table::outbound(config).gateway;
    ((&inbound).into(), (&outbound).into())
}
