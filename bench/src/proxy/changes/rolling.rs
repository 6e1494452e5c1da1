//! Services are restarted one after the other, as a rollout does it.

use std::time::Instant;

use anyhow::{Context, Result};

use super::super::{Scenario, progress};
use super::gateway::Gateway;
use super::load::Load;
use super::service::HEALTH;
use super::services::Services;
use super::{Changed, Session};

/// Services.
const COUNT: usize = 3;

pub(super) async fn run(session: &Session<'_>) -> Result<Changed> {
    let options = &session.options.changes;
    let folder = session.folder(Scenario::Rolling)?;
    let mut services = Services::start(&session.options.programs.bench, &folder, COUNT).await?;
    // A service that stops is known to be down long before it closes its quiet connections. All else is as by default.
    let text = format!(
        "[[cluster]]\nname = \"be\"\nendpoints = {:?}\nhealth = {{ path = \"{HEALTH}\", interval = \"200ms\" }}\n\n\
         [[route]]\npath = \"/**\"\ncluster = \"be\"\n",
        services.addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
    );
    let gateway = Gateway::start(session, &folder, &text).await?;

    let (count, rate) = (options.restarts, options.rate);
    progress(&format!("[rolling] {count} restarts of {COUNT} services at {rate} requests/s"));
    let load = Load::start(gateway.listen, rate, options.connections, 1)?;
    tokio::time::sleep(options.pause).await;
    let mut changes_ms = Vec::new();
    for number in 0..count {
        let began = Instant::now();
        services.restart(number % COUNT).await.with_context(|| gateway.last_words())?;
        changes_ms.push(began.elapsed().as_secs_f64() * 1000.0);
        // What comes next has to find this one at work again.
        tokio::time::sleep(options.pause).await;
    }
    let seen = load.finish().await?;
    gateway.stop().await?;
    let audit = services.audit(&seen.posted).await?;
    Ok(Changed::new(options, seen, changes_ms, &audit))
}
