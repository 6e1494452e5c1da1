//! The admin API: what operators, their tools and services that register themselves talk to.

mod answer;
mod documents;
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
use axum::middleware::{from_fn, map_request};
use axum::routing::get;
use tokio::net::TcpListener;
use trellis_core::Error;
use trellis_net::ServeOptions;
use trellis_runtime::Shutdown;

pub use documents::openapi;
pub use members::MemberView;
pub use platform::{Life, Platform};
pub use status::{PlatformStatus, ProcessView};

/// Answers wait in memory for a slow client up to this size, for each HTTP/2 stream: some events for one who follows
/// services, of which there may be ten thousand.
const MAX_SEND_BUFFER: usize = 16 << 10;

/// Serves the admin API over at most `max_connections` until `shutdown`, then finishes what it answers for up to `drain`.
pub async fn serve(
    listener: TcpListener,
    platform: Arc<Platform>,
    max_connections: u32,
    drain: Duration,
    shutdown: Shutdown,
) -> Result<(), Error> {
    serve_router(listener, router(platform), max_connections, drain, shutdown).await
}

/// The same for any of the API's forms.
pub(crate) async fn serve_router(
    listener: TcpListener,
    router: Router,
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
    trellis_net::serve(listener, router, options, shutdown).await
}

/// All of its paths.
pub fn router(platform: Arc<Platform>) -> Router {
    let registry = trellis_registry::router(platform.services.clone());
    let config = trellis_config::router(platform.config.clone());
    let traffic = traffic::router(platform.traffic.clone());
    let mesh = mesh::router(platform.mesh.clone());
    let counts = platform.doors.admin.clone();
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
    counts.count(guarded(own.merge(registry).merge(config).merge(traffic).merge(mesh)))
}

/// What holds for every path of an admin API: who may ask, how much may be sent, and what is said of a path that is not there.
pub(crate) fn guarded(router: Router) -> Router {
    only_this_machine(router.fallback(answer::not_found).layer(map_request(guard::limit_body)))
}

/// Keeps web pages out of an API that has no authentication, however they get at its address.
pub(crate) fn only_this_machine(router: Router) -> Router {
    router.layer(from_fn(guard::only_this_machine))
}
