//! Announcing a service that nobody else announces.

use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::time::sleep;
use tracing::{info, warn};
use trellis_core::ServiceName;
use trellis_core::error::{Result, chain};
use trellis_runtime::Shutdown;

use crate::{CallError, HttpClient};

const LEASE: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(3);

/// Keeps `module` registered at `address` under `id` until `shutdown`, then takes it out.
pub(super) async fn keep(
    admin: HttpClient,
    module: ServiceName,
    id: String,
    address: SocketAddr,
    shutdown: Shutdown,
) -> Result<()> {
    let path = format!("/v1/instances/{id}");
    let body = json!({
        "name": module, "host": address.ip().to_string(), "port": address.port(), "status": "UP",
        "lease": format!("{}s", LEASE.as_secs()),
    });
    let mut registered = false;
    loop {
        let outcome = if registered {
            admin.post(&format!("{path}/renew")).timeout(TIMEOUT).done().await
        } else {
            admin.request(Method::PUT, &path).json(&body).timeout(TIMEOUT).done().await
        };
        let pause = match outcome {
            Ok(()) => {
                if !registered {
                    info!(%module, "registered");
                }
                registered = true;
                LEASE / 3
            }
            // The platform was restarted and knows nothing of us: register again, at once.
            Err(CallError::Refused { status: 404, .. }) if registered => {
                registered = false;
                Duration::ZERO
            }
            Err(error) => {
                warn!(%module, error = chain(&error), "cannot register; trying again");
                LEASE / 10
            }
        };
        tokio::select! {
            () = shutdown.triggered() => break,
            () = sleep(pause) => {}
        }
    }
    if registered && let Err(error) = admin.request(Method::DELETE, &path).timeout(TIMEOUT).done().await {
        warn!(%module, error = chain(&error), "cannot take the registration back; its lease will end");
    }
    Ok(())
}
