//! What durable writes cost: `cargo run --release -p trellis-config --example writes -- [CALLERS] [SECONDS] [KEYS]`.
//!
//! So many callers set values of 100 bytes to random ones of the keys of a new SQLite database, each its next one when
//! the last is acknowledged; then it is said how many there were, how many shared a commit, and the processor time.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::time::{Duration, Instant};

use trellis_config::versioned::{Author, Change, Edit, Format, Space};
use trellis_config::{Handle, Options, Service};
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::Store;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let mut next = |default| numbers.next().unwrap_or(Ok(default));
    let (callers, seconds, keys) = (next(64)?, next(5)?, next(1_000)?.max(1));
    let dir = tempfile::tempdir_in(".")?;
    let store = Store::open(trellis_storage::Options::sqlite(&dir.path().join("platform.db"))).await?;
    let (service, handle) =
        Service::new(Options::default(), store.clone(), WallClock::system(), None).await?;
    let shutdown = Shutdown::new();
    let running = tokio::spawn(service.run(shutdown.clone()));
    let (began, cpu, commits) = (Instant::now(), cpu_time(), store.commits());
    let space = Space { app: "bench".parse()?, env: "dev".parse()? };
    let end = began + Duration::from_secs(seconds);
    let callers: Vec<_> =
        (0..callers).map(|_| tokio::spawn(write(handle.clone(), space.clone(), keys, end))).collect();
    let (mut count, mut slowest) = (0, Duration::ZERO);
    for caller in callers {
        let (written, worst) = caller.await??;
        count += written;
        slowest = slowest.max(worst);
    }
    let (took, cpu, commits) = (began.elapsed(), cpu_time().saturating_sub(cpu), store.commits() - commits);
    println!(
        "{:.0} writes/s, {:.1} to a commit, {:.1} us of processor time each, slowest {slowest:?}",
        count as f64 / took.as_secs_f64(),
        count as f64 / commits.max(1) as f64,
        cpu.as_secs_f64() * 1e6 / count.max(1) as f64,
    );
    shutdown.trigger();
    running.await??;
    store.close().await;
    Ok(())
}

async fn write(
    handle: Handle,
    space: Space,
    keys: u64,
    end: Instant,
) -> Result<(u64, Duration), trellis_config::Error> {
    let author = Author { actor: "bench".into(), reason: String::new() };
    let (mut count, mut worst) = (0, Duration::ZERO);
    while Instant::now() < end {
        let address = space.key(&format!("keys/k{}", fastrand::u64(..keys)))?;
        let value = format!("\"{:098}\"", fastrand::u64(..)).into();
        let change = Change::Set { format: Format::Json, value, secret: None };
        let began = Instant::now();
        handle.config_apply(vec![Edit { address, change, cas: None }], author.clone()).await?;
        worst = worst.max(began.elapsed());
        count += 1;
    }
    Ok((count, worst))
}

/// Processor time of this process so far, as the kernel accounts it.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}
