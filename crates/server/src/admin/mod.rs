//! The admin API: what operators, their tools and services that register themselves talk to.

mod answer;
mod documents;
mod gate;
mod guard;
mod members;
mod mesh;
mod metrics;
mod platform;
mod status;
pub(crate) mod traffic;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use trellis_core::Error;
use trellis_net::ServeOptions;
use trellis_runtime::Shutdown;

use crate::door_counts::DoorCounts;

pub use documents::openapi;
pub(crate) use gate::Gate;
pub use members::MemberView;
pub use platform::{Life, Platform};
pub use status::{PlatformStatus, ProcessView};

/// Answers wait in memory for a slow client up to this size, for each HTTP/2 stream: some events for one who follows
/// services, of which there may be ten thousand.
const MAX_SEND_BUFFER: usize = 16 << 10;

/// Largest body of a request, in bytes.
const MAX_BODY: u64 = 1 << 20;

/// Serves the admin API over at most `max_connections` until `shutdown`, then finishes what it answers for up to `drain`.
pub async fn serve(
    listener: TcpListener,
    platform: Arc<Platform>,
    max_connections: u32,
    drain: Duration,
    shutdown: Shutdown,
) -> Result<(), Error> {
    serve_gate(listener, gate(platform), max_connections, drain, shutdown).await
}

/// The same for any of the API's forms.
pub(crate) async fn serve_gate(
    listener: TcpListener,
    gate: Gate,
    max_connections: u32,
    drain: Duration,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let options = ServeOptions {
        max_connections,
        max_send_buffer: MAX_SEND_BUFFER,
        drain,
        linger: Duration::ZERO,
        ..ServeOptions::default()
    };
    trellis_net::serve(listener, gate, options, shutdown).await
}

/// All of its paths.
fn gate(platform: Arc<Platform>) -> Gate {
    let registry = trellis_registry::router(platform.services.clone());
    let config = trellis_config::router(platform.config.clone());
    let traffic = traffic::router(platform.traffic.clone());
    let mesh = mesh::router(platform.mesh.clone());
    let counts = platform.doors.admin.clone();
    let (services, settings) = (platform.services.clone(), platform.config.clone());
    let own = Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/v1/status", get(status::status))
        .route("/v1/config", get(status::config))
        .route("/v1/members", get(members::members))
        .route("/v1/openapi.json", get(documents::document))
        .route("/openapi.json", get(documents::document))
        .route("/health", get(status::health))
        .route("/livez", get(status::live))
        .route("/readyz", get(status::ready))
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(platform);
    guarded(own.merge(registry).merge(config).merge(traffic).merge(mesh), counts).at_once(move |request| {
        trellis_registry::at_once(&services, request).or_else(|| trellis_config::at_once(&settings, request))
    })
}

/// What holds for every path of an admin API: who may ask, how much may be sent, and what is said of a path that is not there.
pub(crate) fn guarded(router: Router, counts: DoorCounts) -> Gate {
    Gate::new(router.fallback(answer::not_found), counts).max_body(MAX_BODY)
}
