//! A small closed loop of our own, for where neither `wrk` nor `h2load` is installed: it shows that the measurement
//! works, and costs far more than they do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::task::JoinSet;

use super::{Run, percentile};
use crate::client::Client;

/// Longest wait for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Loads `url`, a base without a path, for `time`.
pub(super) async fn run(url: &str, connections: usize, time: Duration) -> Result<Run> {
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        clients.spawn(client(Client::new(url, ANSWER_LIMIT), began + time));
    }
    let (mut micros, mut failed) = (Vec::new(), 0);
    while let Some(done) = clients.join_next().await {
        let (took, wrong) = done.context("a client failed")?;
        micros.extend(took);
        failed += wrong;
    }
    let seconds = began.elapsed().as_secs_f64();
    micros.sort_unstable();
    let (p50_us, p99_us) = (percentile(&micros, 0.5), percentile(&micros, 0.99));
    Ok(Run { requests: micros.len() as u64, failed, seconds, p50_us, p99_us })
}

async fn client(mut client: Client, end: Instant) -> (Vec<u64>, u64) {
    let (mut micros, mut failed) = (Vec::new(), 0);
    loop {
        let sent = Instant::now();
        if sent >= end {
            return (micros, failed);
        }
        match client.send(Method::GET, "/", &[], Bytes::new()).await {
            Ok(answer) if answer.status == StatusCode::OK => micros.push(sent.elapsed().as_micros() as u64),
            _ => {
                failed += 1;
                // A server that is gone refuses at once.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}
