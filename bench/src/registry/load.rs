//! A closed loop: so many connections, each of which asks again when it has been answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use hdrhistogram::Histogram;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet};

use super::act::Act;
use super::caller::Caller;
use super::plain::Clients;
use super::servers::Peer;
use crate::cores;

/// The histogram's ceiling, in microseconds.
const MAX_MICROS: u64 = 60_000_000;
/// Wait after a failure: a server that is gone refuses at once.
pub(super) const BREATH: Duration = Duration::from_millis(10);

/// What was answered in one window.
pub(super) struct Run {
    pub(super) answered: u64,
    pub(super) failed: u64,
    /// What the first failure was.
    pub(super) reason: Option<String>,
    pub(super) seconds: f64,
    pub(super) micros: Histogram<u64>,
}

/// Loads whoever listens on `address` over `connections` with what `next` says, for `time` or until `most` were asked. On
/// each of `cores` is a thread with its share of the connections, or on each there is if none is named.
pub(super) async fn run(
    (peer, address): (Peer, SocketAddr),
    connections: usize,
    limit: Limit,
    cores: &[usize],
    next: impl Fn(u64) -> Act + Send + Sync + 'static,
) -> Result<Run> {
    let threads = match cores.len() {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    let threads = threads.min(connections.max(1));
    let load = Arc::new(Load::new(limit, next));
    let began = load.began;
    let shares: Vec<_> = (0..threads)
        .map(|thread| {
            let share = connections / threads + usize::from(thread < connections % threads);
            let (load, core) = (load.clone(), cores.get(thread).copied());
            // Not one of a pool, where it would be kept to its core for whoever comes next.
            std::thread::spawn(move || {
                if let Some(core) = core {
                    cores::keep_to(&[core])?;
                }
                match peer.door() {
                    Some(door) => Clients::connect(&load, door, address, share)?.run(),
                    None => load.run(peer, address, share),
                }
            })
        })
        .collect();
    let joined = tokio::task::spawn_blocking(move || {
        let mut all = Run::new()?;
        for share in shares {
            all.add(share.join().map_err(|_| anyhow!("a thread of clients panicked"))??)?;
        }
        Ok::<_, anyhow::Error>(all)
    });
    let mut all = joined.await.context("a thread of clients failed")??;
    all.seconds = began.elapsed().as_secs_f64();
    Ok(all)
}

/// What all threads of a load share.
pub(super) struct Load<N> {
    limit: Limit,
    began: Instant,
    /// How many were asked.
    count: AtomicU64,
    next: N,
}

impl<N: Fn(u64) -> Act> Load<N> {
    /// A load that begins now.
    pub(super) fn new(limit: Limit, next: N) -> Self {
        Self { limit, began: Instant::now(), count: AtomicU64::new(0), next }
    }

    /// What to ask next, if the load is not over.
    pub(super) fn next(&self, now: Instant) -> Option<Act> {
        if let Limit::Time(time) = self.limit
            && now - self.began >= time
        {
            return None;
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        if let Limit::Count(most) = self.limit
            && number >= most
        {
            return None;
        }
        Some((self.next)(number))
    }
}

impl<N: Fn(u64) -> Act + Send + Sync + 'static> Load<N> {
    /// So many connections, on this thread, with a task for each: for who does not speak HTTP/1.1.
    fn run(self: Arc<Self>, peer: Peer, address: SocketAddr, connections: usize) -> Result<Run> {
        let runtime = Builder::new_current_thread().enable_all().build().context("no runtime for clients")?;
        let done = async move {
            let mut tasks = JoinSet::new();
            for _ in 0..connections {
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
            let Some(act) = self.next(sent) else { return Ok(run) };
            match caller.call(act).await {
                Ok(()) => run.answered(sent.elapsed()),
                Err(error) => {
                    run.failed(format!("{error:#}"));
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
    pub(super) fn new() -> Result<Self> {
        let micros = Histogram::new_with_max(MAX_MICROS, 3).context("no histogram")?;
        Ok(Self { answered: 0, failed: 0, reason: None, seconds: 0.0, micros })
    }

    pub(super) fn answered(&mut self, after: Duration) {
        self.answered += 1;
        self.micros.saturating_record(after.as_micros() as u64);
    }

    pub(super) fn failed(&mut self, reason: String) {
        self.failed += 1;
        self.reason.get_or_insert(reason);
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
