//! The door alone, over a registry and a configuration in a folder that is thrown away: for trying clients.
//!
//! `cargo run -p trellis-consul --example serve -- 127.0.0.1:8500`

use std::net::SocketAddr;

use tempfile::TempDir;
use trellis_consul::{Options, Platform};
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::Store;
use trellis_storage::members::{self, Members};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:8500").parse()?;
    let dir = TempDir::new()?;
    let store = Store::open(trellis_storage::Options::sqlite(&dir.path().join("platform.db"))).await?;
    let (shutdown, clock) = (Shutdown::new(), WallClock::system());
    // Only here: whoever tries clients wants to try their commands, too.
    let options = trellis_registry::Options { commands: true, ..trellis_registry::Options::default() };
    let (_members, member) = Members::join(&store, members::Options::new("trellis", "")).await?;
    let (service, registry) =
        trellis_registry::Service::new(options, store.clone(), clock.clone(), member.clone()).await?;
    let registry_task = tokio::spawn(service.run(shutdown.clone()));
    let (service, config) =
        trellis_config::Service::new(trellis_config::Options::default(), store.clone(), clock, Some(member))
            .await?;
    let config_task = tokio::spawn(service.run(shutdown.clone()));
    let listener = trellis_net::bind("consul", listen).await?;
    let options = Options { listen: trellis_net::local_address(&listener)?, ..Options::default() };
    let stop = shutdown.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.trigger();
        }
    });
    let limits = options.serve.clone();
    let router = trellis_consul::router(options, registry, config, Platform::default());
    trellis_net::serve(listener, router, limits, shutdown).await?;
    registry_task.await??;
    config_task.await??;
    store.close().await;
    Ok(())
}
