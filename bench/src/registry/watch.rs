//! How long a change takes to reach everyone who waits for it.
//!
//! All watchers wait for the same thing. A change is made and timed from just before it is asked for, so that the
//! writing down is part of it; when all have heard of it, all wait again, and then the next is made.

mod frames;
mod streams;
mod watcher;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use memchr::memmem;
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::act::{Act, Instance, Key, Service};
use super::caller::Caller;
use super::servers::{Peer, Server};
use super::{Options, progress};
use crate::proxy::{Target, mb, median};
use watcher::Way;

/// The service that is watched, with one instance that changes.
pub(super) const WATCHED: Service = Service(5_000);
/// The configuration key that is watched where services cannot be.
pub(super) const WATCHED_KEY: Key = Key(5_000);
/// Longest wait for the last watcher.
const HEARD_LIMIT: Duration = Duration::from_mins(1);
/// Quiet time before each change, in which those who waited ask again.
const REST: Duration = Duration::from_millis(500);
/// What is wanted of ours.
const MOST_MS: f64 = 20.0;
/// With so many watchers, or fewer.
const WATCHERS: usize = 10_000;

/// Watchers that have heard of a change.
struct Told {
    at: Instant,
    watchers: u64,
    /// What they were told.
    news: Bytes,
}

/// One registry with everyone watching.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Whose.
    pub peer: Peer,
    /// How they watch.
    pub how: &'static str,
    /// How many.
    pub watchers: usize,
    /// Over so many connections.
    pub connections: usize,
    /// Changes that were made.
    pub changes: usize,
    /// Until the change was acknowledged, the median.
    pub acknowledged_ms: f64,
    /// Half of all watchers had it sooner, over all changes.
    pub p50_ms: f64,
    /// 99 in a hundred had it sooner.
    pub p99_ms: f64,
    /// The last one.
    pub max_ms: f64,
    /// The server's processor time for each change, with everyone asking again.
    pub cpu_ms: f64,
    /// Resident memory of the server with all watchers waiting.
    pub rss_mb: f64,
}

/// A registry that could not be watched by so many, or did not tell all of them.
#[derive(Debug, Serialize)]
pub struct Failed {
    /// Whose.
    pub peer: Peer,
    /// How it was watched.
    pub what: String,
    /// Why that went wrong.
    pub reason: String,
}

/// Every server in turn.
pub(super) async fn run(options: &Options, servers: &[Server]) -> (Vec<Row>, Vec<Failed>, Vec<Target>) {
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for server in servers {
        for way in Way::of(server.peer) {
            progress(&format!(
                "[watch] {}: {} watchers, {}",
                server.peer.name(),
                options.watchers,
                way.how()
            ));
            // Who cannot have so many watchers is told so; the others go on.
            match one(options, server, *way).await {
                Ok(row) => rows.push(row),
                Err(error) => {
                    let what =
                        format!("{} watchers of {}, {}", options.watchers, server.peer.name(), way.how());
                    progress(&format!("[watch] {what}: {error:#}; {}", server.child.last_words()));
                    failed.push(Failed { peer: server.peer, what, reason: format!("{error:#}") });
                }
            }
        }
    }
    // A connection for each costs the kernel alone more than this, and a question for each change is no watch.
    let streams = |how: &str| how == Way::Events.how();
    let ours = rows.iter().filter(|row| row.watchers <= WATCHERS && streams(row.how));
    let targets = ours.map(|row| {
        let what = format!("p99_ms, {} watchers of ours, {}", row.watchers, row.how);
        Target::at_most(what, row.p99_ms, MOST_MS)
    });
    // What is no number meets no target.
    let in_vain = failed.iter().filter(|one: &&Failed| one.peer == Peer::Ours);
    let in_vain = in_vain.map(|one| Target::at_most(format!("p99_ms, {}", one.what), f64::NAN, MOST_MS));
    let targets = targets.chain(in_vain).collect();
    (rows, failed, targets)
}

async fn one(options: &Options, server: &Server, way: Way) -> Result<Row> {
    let mut caller = Caller::connect(server.peer, server.address).await?;
    caller.call(change(way, 0)).await?;
    let count = options.watchers;
    let (told, mut heard) = mpsc::channel(count);
    let (again, ask) = watch::channel(way.version(server.address).await?);
    // Dropped at the end, which ends all watchers.
    let mut watchers = JoinSet::new();
    let connections = watcher::start(way, server.address, count, &told, &ask, &mut watchers).await?;

    let cpu = server.child.cpu()?;
    let mut micros = Histogram::<u64>::new_with_max(60_000_000, 3).context("no histogram")?;
    let (mut acknowledged, mut rss_mb) = (Vec::new(), 0.0);
    for number in 1..=options.changes {
        tokio::time::sleep(REST).await;
        rss_mb = mb(server.child.memory()?.rss_kib);
        let sent = Instant::now();
        caller.call(change(way, number as u64)).await?;
        acknowledged.push(sent.elapsed().as_secs_f64() * 1000.0);
        let all = async {
            let mut missing = count as u64;
            while missing > 0 {
                tokio::select! {
                    told = heard.recv() => {
                        let Told { at, watchers, news } = told.context("no watcher is left")?;
                        let delay = at.saturating_duration_since(sent).as_micros() as u64;
                        micros.saturating_record_n(delay, watchers);
                        ensure!(tells(way, number as u64, &news), "change {number} was told as {news:?}");
                        missing = missing.checked_sub(watchers).context("a watcher heard of a change twice")?;
                    }
                    ended = watchers.join_next() => match ended {
                        Some(ended) => ended.context("a watcher failed")??,
                        None => anyhow::bail!("no watcher is left"),
                    },
                }
            }
            Ok(())
        };
        tokio::time::timeout(HEARD_LIMIT, all).await.with_context(|| {
            format!("after {HEARD_LIMIT:?} not all of {count} watchers had heard of change {number}")
        })??;
        again.send_replace(way.version(server.address).await?);
    }
    let cpu = server.child.cpu()?.saturating_sub(cpu);
    let ms = |micros: u64| micros as f64 / 1000.0;
    Ok(Row {
        peer: server.peer,
        how: way.how(),
        watchers: count,
        connections,
        changes: options.changes,
        acknowledged_ms: median(acknowledged),
        p50_ms: ms(micros.value_at_percentile(50.0)),
        p99_ms: ms(micros.value_at_percentile(99.0)),
        max_ms: ms(micros.max()),
        cpu_ms: cpu.as_secs_f64() * 1000.0 / options.changes as f64,
        rss_mb,
    })
}

/// What those who watch `way` have to hear of; each number is a change from the one before.
fn change(way: Way, number: u64) -> Act {
    if way == Way::Config {
        return Act::Write(WATCHED_KEY, number + 1);
    }
    let instance = Instance::new(WATCHED, 900_000);
    Act::Register(Instance { weight: weight(number), ..instance })
}

/// Another for every change.
fn weight(number: u64) -> u16 {
    1 + (number % 60_000) as u16
}

/// Whether those who were told this know what was changed.
fn tells(way: Way, number: u64, news: &[u8]) -> bool {
    // r-nacos says that something has changed, and not to what.
    let expected = format!("\"weight\":{}", weight(number));
    let behind = memmem::find(news, expected.as_bytes()).map(|place| place + expected.len());
    way == Way::Config || behind.is_some_and(|place| !news.get(place).is_some_and(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_change_itself_is_the_change() {
        assert!(tells(Way::Events, 6, br#"data: {"endpoints":[{"id":"a","weight":7}]}"#));
        for other in ["\"weight\":6}", "\"weight\":70}", "{}", ""] {
            assert!(!tells(Way::Events, 6, other.as_bytes()), "{other}");
        }
    }
}
