//! `trellis gateway`: the gateway role alone.

mod admin;

use std::time::Duration;

use futures_util::FutureExt as _;
use serde::Serialize;
use tokio::time::Instant;
use tracing::info;
use trellis_core::Error;
use trellis_net::{bind, local_address};
use trellis_proxy::Gateway;
use trellis_runtime::{Shutdown, TaskKind, Tasks};

use crate::admin::Life;
use crate::manifest::Manifest;
use crate::settings::Overrides;
use crate::traffic::{self, Traffic};

/// What a gateway is started with.
#[derive(Debug)]
pub struct Options {
    /// What it does.
    pub manifest: Manifest,
    /// What was given outside the manifest.
    pub overrides: Overrides,
    /// When the start began.
    pub began: Instant,
}

/// Where everything is.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Process id.
    pub pid: u32,
    /// URL for clients.
    pub gateway: String,
    /// URL of the admin API.
    pub admin: String,
    /// How many routes there are.
    pub routes: usize,
    /// From the start to now, in milliseconds.
    pub ready_ms: u64,
}

/// How long the admin API may take to finish what it answers.
const ADMIN_DRAIN: Duration = Duration::from_secs(2);
/// What may be taken beyond the gateway's own limit before it is cut off.
const MARGIN: Duration = Duration::from_secs(5);

/// Runs a gateway until `stop`. `announce` is called once, when it takes requests.
pub async fn run(options: Options, stop: Shutdown, announce: impl FnOnce(&Summary)) -> Result<(), Error> {
    let Options { manifest, overrides, began } = options;
    let model = &manifest.model;
    let socket = bind("gateway.listen", model.gateway.listen).await?;
    let admin_socket = bind("admin.listen", model.admin.listen).await?;
    let (address, admin_address) = (local_address(&socket)?, local_address(&admin_socket)?);
    let table = traffic::compile(model)?;
    let routes = table.len();

    let discovery = admin::nothing_known();
    let (gateway, handle) = Gateway::new(traffic::options(&manifest), table, discovery)?;
    let life = Life::starting();
    let router = admin::router(Traffic::new(handle, &manifest, overrides), life.clone());

    // The gateway stops first, so that it can be watched until it has.
    let tasks = Tasks::new(stop.clone());
    let admin_stop = Shutdown::new();
    let operators = admin::serve(admin_socket, router, ADMIN_DRAIN, admin_stop.clone());
    tasks.spawn("admin", TaskKind::Essential, operators);
    let carrying = gateway.run(socket, stop.clone()).inspect(move |_| admin_stop.trigger());
    tasks.spawn("gateway", TaskKind::Essential, carrying);
    info!(gateway = %address, admin = %admin_address, routes, "listening");
    life.ready();
    announce(&Summary {
        pid: std::process::id(),
        gateway: format!("http://{address}"),
        admin: format!("http://{admin_address}"),
        routes,
        ready_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    });

    stop.triggered().await;
    info!("stopping");
    life.stopping();
    tasks.join(model.gateway.drain.0 + MARGIN).await
}

