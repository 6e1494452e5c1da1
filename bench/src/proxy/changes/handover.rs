//! The gateway's process is replaced by its successor, which listens on the same sockets.

use std::time::Instant;

use anyhow::Result;

use super::super::{Scenario, progress};
use super::gateway::Gateway;
use super::load::Load;
use super::services::Services;
use super::{Changed, Session};

pub(super) async fn run(session: &Session<'_>) -> Result<Changed> {
    let options = &session.options.changes;
    let folder = session.folder(Scenario::Handover)?;
    let services = Services::start(&session.options.programs.bench, &folder, 1).await?;
    let text = format!(
        "[[cluster]]\nname = \"be\"\nendpoints = [\"{}\"]\n\n[[route]]\npath = \"/**\"\ncluster = \"be\"\n",
        services.addresses[0]
    );
    let mut gateway = Gateway::start(session, &folder, &text).await?;

    let (count, rate) = (options.handovers, options.rate);
    progress(&format!("[handover] {count} successors at {rate} requests/s"));
    let load = Load::start(gateway.listen, rate, options.connections, 1)?;
    tokio::time::sleep(options.pause).await;
    let mut changes_ms = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        gateway.hand_over().await?;
        changes_ms.push(began.elapsed().as_secs_f64() * 1000.0);
        gateway.alone().await?;
        tokio::time::sleep(options.pause).await;
    }
    let seen = load.finish().await?;
    gateway.stop().await?;
    let audit = services.audit(&seen.posted).await?;
    Ok(Changed::new(options, seen, changes_ms, &audit))
}
