//! What many instances cost: `cargo run --release -p trellis-registry --example scale -- 100000 [write|load PATH]`.
//!
//! Registers them durably in a new database, starts again from it, reads, and prints what that took and how much memory
//! the process holds. `write PATH` only fills that file, `load PATH` only starts from it: then the memory is that of a
//! process that has never done anything else.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use trellis_registry::{Handle, Lease, Name, Options, Registration, Service, ServiceKey};
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::{Store, members};

/// Registrations under way at once.
const CALLERS: usize = 64;
const SERVICES: usize = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let count: usize = args.first().map_or(Ok(100_000), |text| text.parse())?;
    match (args.get(1).map(String::as_str), args.get(2)) {
        (None, _) => {
            let dir = tempfile::tempdir()?;
            let path = dir.path().join("platform.db");
            write(&path, count).await?;
            load(&path, count).await
        }
        (Some("write"), Some(path)) => write(Path::new(path), count).await,
        (Some("load"), Some(path)) => load(Path::new(path), count).await,
        _ => Err("after the number comes nothing, `write PATH` or `load PATH`".into()),
    }
}

/// A registry that runs alone on a file.
async fn open(path: &Path, count: usize) -> Result<(Store, Service, Handle), Box<dyn Error>> {
    let store = Store::open(trellis_storage::Options::sqlite(path)).await?;
    let (_, members) = members::Members::join(&store, members::Options::new("scale", "")).await?;
    let options = Options { max_instances: count, ..Options::default() };
    let (service, handle) = Service::new(options, store.clone(), WallClock::system(), members).await?;
    Ok((store, service, handle))
}

async fn write(path: &Path, count: usize) -> Result<(), Box<dyn Error>> {
    let (store, service, handle) = open(path, count).await?;
    let shutdown = Shutdown::new();
    let task = tokio::spawn(service.run(shutdown.clone()));
    let began = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let handle = handle.clone();
        callers.spawn(async move {
            for n in (caller..count).step_by(CALLERS) {
                handle.admit(instance(n)?).await.map_err(|error| error.to_string())?;
            }
            Ok::<(), String>(())
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    report("registered durably", count, began);
    shutdown.trigger();
    task.await??;
    store.close().await;
    Ok(())
}

async fn load(path: &Path, count: usize) -> Result<(), Box<dyn Error>> {
    let before = resident();
    let began = Instant::now();
    let (store, _service, handle) = open(path, count).await?;
    report("loaded", count, began);
    println!("resident after the start: {} KiB (before it {before} KiB)", resident());
    read(&handle, count)?;
    println!("resident after all were read: {} KiB", resident());
    store.close().await;
    Ok(())
}

fn read(handle: &Handle, count: usize) -> Result<(), Box<dyn Error>> {
    let keys: Vec<ServiceKey> =
        (0..SERVICES).map(|n| Ok(ServiceKey::of(service(n)?))).collect::<Result<_, String>>()?;
    let names: Vec<_> = keys.iter().filter_map(|key| key.name.to_service_name()).collect();
    let began = Instant::now();
    let mut seen = 0;
    for (key, name) in keys.iter().zip(&names) {
        seen += handle.snapshot(key).entries.len().min(handle.endpoints(name).endpoints.len());
    }
    report("read for the first time", seen, began);
    let (began, reads) = (Instant::now(), 1_000_000);
    for n in 0..reads {
        std::hint::black_box(handle.snapshot(&keys[n % SERVICES]));
    }
    report("services read again", reads, began);
    let began = Instant::now();
    for n in 0..count {
        handle.renew(&format!("instance-{n}").parse()?)?;
    }
    report("renewed", count, began);
    Ok(())
}

fn service(n: usize) -> Result<Name, String> {
    format!("service-{}", n % SERVICES)
        .parse()
        .map_err(|error: trellis_registry::InvalidName| error.to_string())
}

fn instance(n: usize) -> Result<Registration, String> {
    let id = format!("instance-{n}").parse().map_err(|_| "no id".to_owned())?;
    let host = format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255);
    Ok(Registration {
        lease: Lease::For(Duration::from_mins(10)),
        tags: ["v1", "blue"].into_iter().collect(),
        metadata: [("region".into(), "eu".into()), ("team".into(), format!("t{}", n % 10).into())]
            .into_iter()
            .collect(),
        ..Registration::new(id, service(n)?, host, 8080)
    })
}

fn report(what: &str, count: usize, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    println!("{what}: {count} in {seconds:.3} s, {:.0}/s", count as f64 / seconds);
}

/// Resident memory of this process in KiB; 0 where there is no /proc.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
