//! A closed loop: so many connections, each of which asks again when it has been answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet};

use super::act::Act;
use super::caller::Caller;
use super::servers::Peer;

/// The histogram's ceiling, in microseconds.
const MAX_MICROS: u64 = 60_000_000;
/// Wait after a failure: a server that is gone refuses at once.
const BREATH: Duration = Duration::from_millis(10);

/// What was answered in one window.
pub(super) struct Run {
    pub(super) answered: u64,
    pub(super) failed: u64,
    /// What the first failure was.
    pub(super) reason: Option<String>,
    pub(super) seconds: f64,
    pub(super) micros: Histogram<u64>,
}

/// Loads whoever listens on `address` over `connections` with what `next` says, for `time` or until `most` were asked.
pub(super) async fn run(
    at: (Peer, SocketAddr),
    connections: usize,
    limit: Limit,
    next: impl Fn(u64) -> Act + Send + Sync + 'static,
) -> Result<Run> {
    // A thread for each core, each with its share of the connections: one alone would be what is measured.
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(connections.max(1));
    let began = Instant::now();
    let load = Arc::new(Load { at, limit, began, count: AtomicU64::new(0), next });
    let shares: Vec<_> = (0..threads)
        .map(|thread| {
            let share = connections / threads + usize::from(thread < connections % threads);
            let load = load.clone();
            tokio::task::spawn_blocking(move || load.run(share))
        })
        .collect();
    let mut all = Run::new()?;
    for share in shares {
        all.add(share.await.context("a thread of clients failed")??)?;
    }
    all.seconds = began.elapsed().as_secs_f64();
    Ok(all)
}

/// What all threads of a load share.
struct Load<N> {
    at: (Peer, SocketAddr),
    limit: Limit,
    began: Instant,
    /// How many were asked.
    count: AtomicU64,
    next: N,
}

impl<N: Fn(u64) -> Act + Send + Sync + 'static> Load<N> {
    /// So many connections, on this thread.
    fn run(self: Arc<Self>, connections: usize) -> Result<Run> {
        let runtime = Builder::new_current_thread().enable_all().build().context("no runtime for clients")?;
        let done = async move {
            let mut tasks = JoinSet::new();
            for _ in 0..connections {
                let (peer, address) = self.at;
                tasks.spawn_local(self.clone().one(Caller::connect(peer, address).await?));
            }
            let mut all = Run::new()?;
            while let Some(done) = tasks.join_next().await {
                all.add(done.context("a client failed")??)?;
            }
            Ok(all)
        };
        LocalSet::new().block_on(&runtime, done)
    }

    async fn one(self: Arc<Self>, mut caller: Caller) -> Result<Run> {
        let mut run = Run::new()?;
        loop {
            let sent = Instant::now();
            if let Limit::Time(time) = self.limit
                && sent - self.began >= time
            {
                return Ok(run);
            }
            let number = self.count.fetch_add(1, Ordering::Relaxed);
            if let Limit::Count(most) = self.limit
                && number >= most
            {
                return Ok(run);
            }
            match caller.call((self.next)(number)).await {
                Ok(()) => {
                    run.answered += 1;
                    run.micros.saturating_record(sent.elapsed().as_micros() as u64);
                }
                Err(error) => {
                    run.failed += 1;
                    run.reason.get_or_insert_with(|| format!("{error:#}"));
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }
}

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    Time(Duration),
    Count(u64),
}

impl Run {
    fn new() -> Result<Self> {
        let micros = Histogram::new_with_max(MAX_MICROS, 3).context("no histogram")?;
        Ok(Self { answered: 0, failed: 0, reason: None, seconds: 0.0, micros })
    }

    fn add(&mut self, other: Self) -> Result<()> {
        self.answered += other.answered;
        self.failed += other.failed;
        self.reason = self.reason.take().or(other.reason);
        self.micros.add(&other.micros)?;
        Ok(())
    }

    /// The time in which so many hundredths were answered, in milliseconds.
    pub(super) fn percentile_ms(&self, percent: f64) -> f64 {
        self.micros.value_at_percentile(percent) as f64 / 1000.0
    }
}
