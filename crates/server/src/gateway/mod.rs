//! `trellis gateway`: the gateway role alone.

mod admin;
mod handover;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};
use trellis_core::error::chain;
use trellis_core::{Error, codes};
use trellis_net::local_address;
use trellis_proxy::Gateway;
use trellis_runtime::{Shutdown, TaskKind, Tasks};

use crate::admin::Life;
use crate::doors;
use crate::manifest::Manifest;
use crate::settings::Overrides;
use crate::traffic::{self, Traffic};

pub use handover::{HANDOVER, Inherited, Program};

/// What a gateway is started with.
#[derive(Debug)]
pub struct Options {
    /// What it does.
    pub manifest: Manifest,
    /// What was given outside the manifest.
    pub overrides: Overrides,
    /// Sockets that are open already.
    pub inherited: Inherited,
    /// What is started when this process is to be replaced.
    pub program: Program,
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
    /// The same over TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
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

/// Runs a gateway until `stop`, or until a process that was started at `upgrade` has taken over. `announce` is called
/// once, when it takes requests.
pub async fn run(
    options: Options,
    stop: Shutdown,
    upgrade: Arc<Notify>,
    announce: impl FnOnce(&Summary),
) -> Result<(), Error> {
    let Options { mut manifest, overrides, mut inherited, program, began } = options;
    let table = manifest.routes()?;
    let model = &manifest.model;
    let routes = table.len();
    let (doors, addresses) = doors::open(model, &table, &manifest.directory, &mut inherited).await?;
    let admin_socket = doors::listen("admin.listen", model.admin.listen, &mut inherited).await?;
    let admin_address = local_address(&admin_socket)?;
    let sockets = doors::copies(&doors).and_then(|mut sockets| {
        sockets.push(doors::copy("admin.listen", &admin_socket)?);
        Ok(sockets)
    });
    let sockets = sockets.map_err(|error| {
        Error::new(codes::CANNOT_LISTEN, "a socket cannot be kept for a successor").because(error)
    })?;

    let discovery = admin::nothing_known();
    let (gateway, handle) = Gateway::new(traffic::options(&manifest), table, discovery)?;
    let life = Life::starting();
    let gate = admin::gate(Traffic::new(handle, &manifest, overrides), life.clone());

    // The gateway stops first, so that it can be watched until it has.
    let tasks = Tasks::new(stop.clone());
    let admin_stop = Shutdown::new();
    let most = model.admin.max_connections;
    let operators = crate::admin::serve_gate(admin_socket, gate, most, ADMIN_DRAIN, admin_stop.clone());
    tasks.spawn("admin", TaskKind::Essential, operators);
    let carrying = gateway.serve(doors, stop.clone()).inspect(move |_| admin_stop.trigger());
    tasks.spawn("gateway", TaskKind::Essential, carrying);
    info!(?addresses, admin = %admin_address, routes, "listening");
    life.ready();
    announce(&Summary {
        pid: std::process::id(),
        gateway: format!("http://{}", addresses.plain),
        tls: addresses.tls.map(|address| format!("https://{address}")),
        admin: format!("http://{admin_address}"),
        routes,
        ready_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    });

    inherited.begun();
    tokio::select! {
        () = stop.triggered() => {}
        pid = succeeded(&program, &sockets, &upgrade) => {
            info!(pid, "a new process has taken over");
            stop.trigger();
        }
    }
    // Kept for a successor only: while they are open, clients would wait in their queues.
    drop(sockets);
    info!("stopping");
    life.stopping();
    tasks.join(model.gateway.drain.0 + MARGIN).await
}

/// Ends with the id of the process that has taken over. One that fails to is told of, and asked for again.
async fn succeeded(program: &Program, sockets: &doors::Copies, upgrade: &Notify) -> u32 {
    loop {
        upgrade.notified().await;
        info!("starting a new process to take over");
        match handover::succeed(program, sockets).await {
            Ok(pid) => return pid,
            Err(error) => warn!(error = chain(&error), "nobody took over; going on"),
        }
    }
}
