//! The whole configuration is changed again and again: the same routes lead to another cluster each time.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::super::{Scenario, progress, routes};
use super::gateway::Gateway;
use super::load::Load;
use super::services::Services;
use super::{Changed, Session};

pub(super) async fn run(session: &Session<'_>) -> Result<Changed> {
    let options = &session.options.changes;
    let folder = session.folder(Scenario::Flips)?;
    let services = Services::start(&session.options.programs.bench, &folder, 2).await?;
    let tables = [("one", services.addresses[0]), ("two", services.addresses[1])].map(|(name, address)| {
        let mut text = String::new();
        table(&mut text, name, address, &routes::prefixes(options.routes)).map(|()| text)
    });
    let [one, two] = tables;
    let tables = [one?, two?];
    let mut gateway = Gateway::start(session, &folder, &tables[0]).await?;

    let (count, rate) = (options.flips, options.rate);
    progress(&format!("[flips] {count} changes of {} routes at {rate} requests/s", options.routes));
    let load = Load::start(gateway.listen, rate, options.connections, options.routes)?;
    tokio::time::sleep(options.pause).await;
    let changes_ms = flips(&mut gateway, &tables, count, options.flip_pause);
    let changes_ms = changes_ms.await.with_context(|| gateway.last_words())?;
    let seen = load.finish().await?;
    gateway.stop().await?;
    let audit = services.audit(&seen.posted).await?;
    Ok(Changed::new(options, seen, changes_ms, &audit))
}

async fn flips(
    gateway: &mut Gateway,
    tables: &[String; 2],
    count: usize,
    pause: Duration,
) -> Result<Vec<f64>> {
    let mut took = Vec::new();
    for number in 1..=count {
        let began = Instant::now();
        gateway.put(&tables[number % 2]).await?;
        took.push(began.elapsed().as_secs_f64() * 1000.0);
        tokio::time::sleep(pause).await;
    }
    Ok(took)
}

/// Every prefix leads to the cluster `name`, which is at `address`.
fn table(text: &mut String, name: &str, address: SocketAddr, prefixes: &[String]) -> std::fmt::Result {
    writeln!(text, "[[cluster]]\nname = \"{name}\"\nendpoints = [\"{address}\"]\n")?;
    for prefix in prefixes {
        writeln!(text, "[[route]]\npath = \"{prefix}/**\"\ncluster = \"{name}\"\n")?;
    }
    Ok(())
}
