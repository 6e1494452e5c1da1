//! `bench shop`: start-up, idle memory, order rate, latency and processor time of the platform with the shop.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};

use crate::load::{Clients, Latency, Load};
use crate::money::Cents;
use crate::platform::{Phase, Platform, Programs, last_words};
use crate::procs::{self, Memory};
use crate::shop::{Shop, Stock};

/// What is measured, and for how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// Starts on a fresh data directory, and as many again on one that holds data.
    pub starts: usize,
    /// Clients at once.
    pub clients: usize,
    /// Load before anything is counted.
    pub warm_up: Duration,
    /// Load that is counted.
    pub time: Duration,
    /// Quiet time before idle memory is read.
    pub rest: Duration,
}

/// Everything that was measured in one phase.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How the shop ran.
    pub phase: Phase,
    /// Program start to every module ready, in milliseconds, on a fresh data directory each time.
    pub fresh_starts_ms: Vec<u64>,
    /// The same on a data directory that is already there.
    pub later_starts_ms: Vec<u64>,
    /// Each process, the platform's own first.
    pub processes: Vec<Usage>,
    /// Clients at once.
    pub clients: usize,
    /// Seconds that were counted.
    pub seconds: f64,
    /// Orders completed in that time.
    pub orders: u64,
    /// Orders completed in a second.
    pub orders_per_second: f64,
    /// How long an order took, as its client saw it.
    pub latency: Latency,
    /// Answers that were no completed order, by status.
    pub others: BTreeMap<String, u64>,
}

/// One process.
#[derive(Debug, Serialize)]
pub struct Usage {
    /// Its name: an instance id, `trellis`, `guardian`, or `load` for the clients themselves.
    pub name: String,
    /// Part of the platform rather than of the application.
    pub platform: bool,
    /// Ready and without load.
    pub idle: Memory,
    /// Right after the load.
    pub loaded: Memory,
    /// Processor seconds for 1000 orders.
    pub cpu_per_1000: f64,
}

struct Watched {
    name: String,
    platform: bool,
    pid: u32,
}

/// Measures one phase; `folder` is for its data.
pub async fn run(programs: &Programs, folder: &Path, phase: Phase, options: &Options) -> Result<Report> {
    ensure!(
        options.starts > 0 && options.clients > 0,
        "nothing to measure: --starts and --clients are at least 1"
    );
    let mut fresh_starts_ms = Vec::new();
    for number in 0..options.starts {
        let fresh = folder.join(format!("{}-{number}", phase.as_str()));
        std::fs::create_dir(&fresh).with_context(|| format!("cannot make {}", fresh.display()))?;
        fresh_starts_ms.push(start_and_stop(programs, &fresh, phase).await?);
    }
    let kept = folder.join(format!("{}-0", phase.as_str()));
    let mut later_starts_ms = Vec::new();
    for _ in 0..options.starts {
        later_starts_ms.push(start_and_stop(programs, &kept, phase).await?);
    }
    let platform = Platform::start(programs, &kept, phase).await?;
    let outcome = under_load(&platform, options).await;
    let (load, processes) =
        outcome.with_context(|| format!("the platform's last words:\n{}", last_words(&kept)))?;
    platform.stop().await?;
    let seconds = options.time.as_secs_f64();
    Ok(Report {
        phase,
        fresh_starts_ms,
        later_starts_ms,
        processes,
        clients: options.clients,
        seconds,
        orders: load.orders,
        orders_per_second: load.orders as f64 / seconds,
        latency: load.latency(),
        others: load.others,
    })
}

async fn start_and_stop(programs: &Programs, folder: &Path, phase: Phase) -> Result<u64> {
    let platform = Platform::start(programs, folder, phase).await?;
    let took = platform.started_in.as_millis() as u64;
    platform.stop().await?;
    Ok(took)
}

/// Idle first, then under load.
async fn under_load(platform: &Platform, options: &Options) -> Result<(Load, Vec<Usage>)> {
    let watched = watched(platform).await?;
    sleep(options.rest).await;
    let idle = memories(&watched)?;

    let mut shop = Shop::new(platform.gateway(), Duration::from_secs(30));
    let article = |number: i64| Stock {
        sku: format!("bench-{number}"),
        available: 100_000_000,
        price: Cents(1000 + number),
    };
    let stock: Vec<Stock> = (1..=10).map(article).collect();
    for line in &stock {
        shop.put_stock(line).await?;
    }
    let users = shop.create_users(options.clients).await?;
    let begin = Instant::now() + options.warm_up;
    let end = begin + options.time;
    let clients = Clients::start(platform.gateway(), &users, &stock, begin, end);
    sleep_until(begin).await;
    let before = cpu_times(&watched)?;
    sleep_until(end).await;
    let after = cpu_times(&watched)?;
    let loaded = memories(&watched)?;
    let load = clients.finish().await?;
    ensure!(load.orders > 0, "no order was completed; answers were {:?}", load.others);

    let usages = watched.into_iter().enumerate().map(|(i, process)| Usage {
        name: process.name,
        platform: process.platform,
        idle: idle[i],
        loaded: loaded[i],
        cpu_per_1000: after[i].saturating_sub(before[i]).as_secs_f64() * 1000.0 / load.orders as f64,
    });
    let usages = usages.collect();
    Ok((load, usages))
}

/// The platform, its other children (the guardian), the modules, and this program.
async fn watched(platform: &Platform) -> Result<Vec<Watched>> {
    let modules = platform.processes().await?;
    let mut all = vec![Watched { name: "trellis".into(), platform: true, pid: platform.pid() }];
    for pid in procs::children(platform.pid())? {
        if modules.iter().all(|module| module.pid != Some(pid)) {
            // `trellis guardian`: the second word says what it does.
            let name =
                procs::command_line(pid)?.into_iter().nth(1).unwrap_or_else(|| format!("process {pid}"));
            all.push(Watched { name, platform: true, pid });
        }
    }
    for module in modules {
        let pid = module.pid.with_context(|| format!("{} does not run", module.id))?;
        all.push(Watched { name: module.id, platform: false, pid });
    }
    all.push(Watched { name: "load".into(), platform: false, pid: std::process::id() });
    Ok(all)
}

fn memories(watched: &[Watched]) -> Result<Vec<Memory>> {
    let read =
        |w: &Watched| procs::memory(w.pid).with_context(|| format!("cannot read the memory of {}", w.name));
    watched.iter().map(read).collect()
}

fn cpu_times(watched: &[Watched]) -> Result<Vec<Duration>> {
    let read = |w: &Watched| {
        procs::cpu(w.pid).with_context(|| format!("cannot read the processor time of {}", w.name))
    };
    watched.iter().map(read).collect()
}
