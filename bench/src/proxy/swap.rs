//! A large route table exchanged while requests go through it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;

use super::figures::median;
use super::load::Paths;
use super::peers::{Proxy, Running, with_routes};
use super::session::{Session, warm_up};
use super::target::Target;
use super::{Figures, Scenario, progress, routes};
use crate::client::Client;

/// Exchanges in one run.
const SWAPS: u32 = 10;
/// Longest wait for one.
const SWAP_LIMIT: Duration = Duration::from_secs(30);
/// What is wanted of the slowest.
const MOST_MS: f64 = 100.0;
/// Led to nobody by the second table, and to the upstream by the first, which shows which of them is in force.
const MARK: &str = "
[[cluster]]
name = \"nobody\"
endpoints = [\"127.0.0.1:1\"]

[[route]]
path = \"/mark/**\"
cluster = \"nobody\"
";

/// What exchanging cost.
#[derive(Debug, Serialize)]
pub struct Swapped {
    /// Routes in each table.
    pub routes: usize,
    /// From the request to exchange to its answer, each time.
    pub swaps_ms: Vec<f64>,
    /// The one in the middle.
    pub median_ms: f64,
    /// The slowest.
    pub slowest_ms: f64,
    /// Requests that were answered meanwhile.
    pub requests: u64,
    /// Those that were not, or not well.
    pub failed: u64,
    /// 99 in a hundred were answered faster, in milliseconds.
    pub p99_ms: f64,
}

pub(super) async fn run(session: &Session<'_>) -> Result<(Figures, Vec<Target>)> {
    let setting = session.setting(Scenario::Swap)?;
    let count = session.options.routes.last().copied().unwrap_or(1);
    progress(&format!("[swap] starting ours with {count} routes"));
    let all = routes::prefixes(count);
    let ours = Running::start(&setting, Proxy::Ours, "ours", &all).await?;
    let renamed: Vec<String> = all.iter().map(|prefix| format!("/v2{prefix}")).collect();
    let first = with_routes(&ours.text, &all);
    let second = with_routes(&ours.text, &renamed) + MARK;

    let load = session.load(setting.wire, Paths::One);
    warm_up(&ours, &load, session.options.warm_up).await?;
    progress(&format!("[swap] {SWAPS} exchanges under load"));
    let time = session.options.time;
    let (run, swaps_ms) = tokio::join!(load.run(ours.listen, time), swaps(&ours, [second, first], time));
    let (run, swaps_ms) = (run?, swaps_ms.with_context(|| ours.child.last_words())?);
    ours.child.stop().await?;

    let slowest_ms = swaps_ms.iter().copied().fold(0.0, f64::max);
    let targets = vec![
        Target::at_most(format!("slowest exchange of {count} routes, ms"), slowest_ms, MOST_MS),
        Target::at_most("requests that failed meanwhile", run.failed as f64, 0.0),
    ];
    let swapped = Swapped {
        routes: count,
        median_ms: median(swaps_ms.iter().copied()),
        slowest_ms,
        swaps_ms,
        requests: run.requests,
        failed: run.failed,
        p99_ms: run.p99_us as f64 / 1000.0,
    };
    Ok((Figures::Swap(swapped), targets))
}

/// Within `time` unless they are slow, one table after the other; how long each took.
async fn swaps(ours: &Running, tables: [String; 2], time: Duration) -> Result<Vec<f64>> {
    let tables = tables.map(Bytes::from);
    let mut admin = Client::new(&format!("http://{}", ours.admin), SWAP_LIMIT);
    let mut took = Vec::new();
    for number in 0..SWAPS {
        tokio::time::sleep(time / (2 * SWAPS)).await;
        let is_second = number % 2 == 0;
        let table = tables[usize::from(!is_second)].clone();
        let began = Instant::now();
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/toml"))];
        let answer = admin.send(Method::PUT, "/v1/gateway/config", &headers, table).await?;
        took.push(began.elapsed().as_secs_f64() * 1000.0);
        ensure!(answer.status.is_success(), "PUT /v1/gateway/config: {}: {}", answer.status, answer.text());
        in_force(ours.listen, is_second).await?;
    }
    Ok(took)
}

/// The answer came when the table was in force, not before.
async fn in_force(listen: SocketAddr, is_second: bool) -> Result<()> {
    let mut client = Client::new(&format!("http://{listen}"), Duration::from_secs(5));
    let answer = client.send(Method::GET, "/mark/x", &[], Bytes::new()).await?;
    let told = (answer.status == StatusCode::OK, answer.status.is_server_error());
    ensure!(told == (!is_second, is_second), "the table before is in force: GET /mark/x: {}", answer.status);
    Ok(())
}
