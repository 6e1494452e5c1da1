//! Memory without load: right after the start, and with many connections that have made a request and wait.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::peers::{Proxy, Running};
use super::session::{Session, mb};
use super::target::Target;
use super::upstream::ANSWER;
use super::{Figures, Scenario, progress};

/// Quiet time before memory is read.
const REST: Duration = Duration::from_secs(2);
/// Connections that are made at once.
const AT_ONCE: usize = 32;
/// Connections from one source address, well below the ports that one has.
const FROM_ONE: usize = 2000;
/// Longest wait for a connection and its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// What is wanted of ours after the start, and with the connections.
const MOST_MB: [f64; 2] = [20.0, 100.0];

/// One proxy without load.
#[derive(Debug, Serialize)]
pub struct Quiet {
    /// Whose.
    pub name: String,
    /// Resident memory after the start.
    pub started_rss_mb: f64,
    /// The same with shared pages shared out.
    pub started_pss_mb: f64,
    /// Connections that wait, of those that were made.
    pub connections: usize,
    /// Resident memory with them.
    pub waiting_rss_mb: f64,
    /// The same with shared pages shared out.
    pub waiting_pss_mb: f64,
}

pub(super) async fn run(session: &Session<'_>, proxies: &[Proxy]) -> Result<(Figures, Vec<Target>)> {
    let setting = session.setting(Scenario::Idle)?;
    let mut all = Vec::new();
    for proxy in proxies {
        let count = session.options.idle_connections;
        progress(&format!("[idle] {}: start, then {count} connections", proxy.name()));
        let running = Running::start(&setting, *proxy, proxy.name(), &[]).await?;
        tokio::time::sleep(REST).await;
        let started = running.child.memory()?;
        let mut waiting = connect(running.listen, count).await.with_context(|| running.child.last_words())?;
        tokio::time::sleep(REST).await;
        let loaded = running.child.memory()?;
        waiting.retain(is_open);
        all.push(Quiet {
            name: proxy.name().into(),
            started_rss_mb: mb(started.rss_kib),
            started_pss_mb: mb(started.pss_kib),
            connections: waiting.len(),
            waiting_rss_mb: mb(loaded.rss_kib),
            waiting_pss_mb: mb(loaded.pss_kib),
        });
        running.child.stop().await?;
    }
    let targets = targets(&all);
    Ok((Figures::Idle(all), targets))
}

fn targets(all: &[Quiet]) -> Vec<Target> {
    let Some(ours) = all.iter().find(|quiet| quiet.name == Proxy::Ours.name()) else { return Vec::new() };
    let waiting = format!("rss_mb, ours with {} waiting connections", ours.connections);
    vec![
        Target::at_most("rss_mb, ours after the start", ours.started_rss_mb, MOST_MB[0]),
        Target::at_most(waiting, ours.waiting_rss_mb, MOST_MB[1]),
    ]
}

/// Connections that have each been answered once.
async fn connect(listen: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    let mut tasks = JoinSet::new();
    for first in 0..AT_ONCE {
        tasks.spawn(async move {
            let mut made = Vec::new();
            for number in (first..count).step_by(AT_ONCE) {
                // 127.0.0.2 and on.
                let source = Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + 1 + (number / FROM_ONE) as u32);
                let one = tokio::time::timeout(ANSWER_LIMIT, ask(source, listen)).await;
                let one = one.context("no answer in time").flatten();
                made.push(one.with_context(|| format!("connection {number} of {count}"))?);
            }
            anyhow::Ok(made)
        });
    }
    let mut all = Vec::new();
    while let Some(made) = tasks.join_next().await {
        all.extend(made.context("a client failed")??);
    }
    Ok(all)
}

/// One connection, one request, and the whole answer to it.
async fn ask(source: Ipv4Addr, listen: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    let mut stream = socket.connect(listen).await?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {listen}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(ANSWER) {
        ensure!(answer.len() < 16 << 10, "an answer without an end");
        ensure!(stream.read_buf(&mut answer).await? > 0, "closed before the answer");
    }
    Ok(stream)
}

/// Whether the proxy keeps it.
fn is_open(stream: &TcpStream) -> bool {
    let mut byte = [0];
    stream.try_read(&mut byte).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}
