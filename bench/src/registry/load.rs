//! A closed loop: so many connections, each of which asks again when it has been answered.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
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
    (peer, address): (Peer, SocketAddr),
    connections: usize,
    limit: Limit,
    next: impl Fn(u64) -> Act + 'static,
) -> Result<Run> {
    let mut callers = Vec::new();
    for _ in 0..connections {
        callers.push(Caller::connect(peer, address).await?);
    }
    // Everything is on one thread, which leaves the rest of the machine to what is measured.
    let (next, count) = (Rc::new(next), Rc::new(Cell::new(0)));
    let local = LocalSet::new();
    let began = Instant::now();
    let done = local.run_until(async move {
        let mut tasks = JoinSet::new();
        for caller in callers {
            let (next, count) = (Rc::clone(&next), Rc::clone(&count));
            tasks.spawn_local(one(caller, began, limit, next, count));
        }
        let mut all = Run::new()?;
        while let Some(done) = tasks.join_next().await {
            all.add(done.context("a client failed")??)?;
        }
        anyhow::Ok(all)
    });
    let mut all = done.await?;
    all.seconds = began.elapsed().as_secs_f64();
    Ok(all)
}

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    Time(Duration),
    Count(u64),
}

async fn one(
    mut caller: Caller,
    began: Instant,
    limit: Limit,
    next: Rc<impl Fn(u64) -> Act>,
    count: Rc<Cell<u64>>,
) -> Result<Run> {
    let mut run = Run::new()?;
    loop {
        let (sent, number) = (Instant::now(), count.get());
        match limit {
            Limit::Time(time) if sent - began >= time => return Ok(run),
            Limit::Count(most) if number >= most => return Ok(run),
            _ => count.set(number + 1),
        }
        match caller.call(next(number)).await {
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
