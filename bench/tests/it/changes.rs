//! No request is lost while the configuration, the services or the gateway's process change: a short form of what
//! `cargo xtask bench proxy` does.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use trellis_bench::proxy::{self, Changes, Generator, Options, Programs, Proxy, Scenario};

const PROGRAM: &str = env!("CARGO_BIN_EXE_trellis-bench");

async fn nothing_is_lost(scenario: Scenario, changes: usize) -> Result<()> {
    // Says how the gateway is built if it is missing.
    crate::programs()?;
    let folder = crate::folder()?;
    let options = Options {
        programs: Programs::around(Path::new(PROGRAM))?,
        scenarios: vec![scenario],
        proxies: vec![Proxy::Ours],
        generator: Generator::BuiltIn,
        time: Duration::ZERO,
        warm_up: Duration::ZERO,
        rounds: 1,
        connections: 16,
        workers: 2,
        routes: vec![1],
        idle_connections: 0,
        changes: Changes {
            rate: 200,
            connections: 16,
            flips: changes,
            routes: 100,
            restarts: changes,
            handovers: changes,
            flip_pause: Duration::from_millis(50),
            pause: Duration::from_millis(500),
        },
    };
    let report = proxy::run(&options, folder.path()).await?;
    let json = serde_json::to_value(&report)?;
    let told = format!("{json:#}\n{}\nlogs: {}", proxy::table(&report), folder.path().display());
    let changed = &json["outcomes"][0]["changed"];
    assert_eq!(changed["changes_ms"].as_array().map(Vec::len), Some(changes), "{told}");
    assert!(changed["requests"].as_u64() > Some(100) && changed["posts"].as_u64() > Some(50), "{told}");
    for what in ["failed", "repeated", "unheard"] {
        assert_eq!(changed[what], 0, "{told}");
    }
    let targets = json["outcomes"][0]["targets"].as_array().map_or(0, Vec::len);
    assert!(targets > 0 && !proxy::table(&report).contains("MISSED"), "{told}");
    Ok(folder.close()?)
}

#[tokio::test]
async fn nothing_is_lost_while_the_configuration_changes() -> Result<()> {
    nothing_is_lost(Scenario::Flips, 10).await
}

#[tokio::test]
async fn nothing_is_lost_while_services_restart() -> Result<()> {
    // One of the three is left alone: a restarted one may be behind its open breaker for five seconds.
    nothing_is_lost(Scenario::Rolling, 2).await
}

#[tokio::test]
async fn nothing_is_lost_while_the_process_is_replaced() -> Result<()> {
    nothing_is_lost(Scenario::Handover, 2).await
}
