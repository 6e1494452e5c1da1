//! Those who wait: each asks, hears of a change, says so, and asks again when it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Deserialize;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::super::act::Service;
use super::super::doors;
use super::super::servers::Peer;
use super::streams::{Speech, Streams};
use super::{Told, WATCHED, WATCHED_KEY};
use crate::client::Client;
use crate::connection::Connection;

/// Watchers that share a connection, where a connection can carry many.
const SHARED: usize = 100;
/// Connections from one source address, well below the ports that one has.
const FROM_ONE: usize = 2_000;
/// Longest wait for a single answer that is not waited for by design.
const LIMIT: Duration = Duration::from_secs(20);

/// How a registry is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Ours: long polls of a service, each over a connection of its own.
    Poll,
    /// Ours: the same over HTTP/2, a hundred to a connection.
    Poll2,
    /// Ours: a stream of events for each, a hundred to a connection.
    Events,
    /// etcd: a gRPC stream for each, a hundred to a connection.
    Stream,
    /// r-nacos: long polls of a configuration key, each over a connection of its own.
    Config,
}

/// What is known of what is watched, so that a watcher can say so when it asks again.
pub(super) type Version = Arc<str>;

#[derive(Deserialize)]
struct Known {
    revision: u64,
}

impl Way {
    pub(super) fn of(peer: Peer) -> &'static [Self] {
        match peer {
            Peer::Ours => &[Self::Events, Self::Poll2, Self::Poll],
            Peer::Etcd => &[Self::Stream],
            // Its pushes of services over gRPC wait for a tick of half a second; those over UDP are switched off.
            Peer::Rnacos => &[Self::Config],
        }
    }

    pub(super) fn how(self) -> &'static str {
        match self {
            Self::Poll => "service, long poll",
            Self::Poll2 => "service, long poll over HTTP/2",
            Self::Events => "service, events over HTTP/2",
            Self::Stream => "prefix, gRPC stream",
            Self::Config => "configuration key, long poll",
        }
    }

    /// What is there now.
    pub(super) async fn version(self, address: SocketAddr) -> Result<Version> {
        let mut client = Client::new(&format!("http://{address}"), LIMIT);
        match self {
            Self::Poll | Self::Poll2 => {
                let known: Known = client.get(&doors::endpoints(WATCHED, None)).await?.1;
                Ok(known.revision.to_string().into())
            }
            Self::Events | Self::Stream => Ok("".into()),
            Self::Config => {
                let path = doors::value(WATCHED_KEY);
                let answer = client.send(Method::GET, &path, &[], Bytes::new()).await?;
                let md5 = answer.headers.get("content-md5").context("r-nacos told no checksum")?;
                Ok(md5.to_str()?.into())
            }
        }
    }
}

/// Starts `count` of them; returns over how many connections, once all can wait.
pub(super) async fn start(
    way: Way,
    address: SocketAddr,
    count: usize,
    told: &mpsc::Sender<Told>,
    ask: &watch::Receiver<Version>,
    tasks: &mut JoinSet<Result<()>>,
) -> Result<usize> {
    match way {
        Way::Poll | Way::Config => {
            for number in 0..count {
                let connection = Connection::from(connect(address, number).await?);
                tasks.spawn(poll(way, connection, told.clone(), ask.clone()));
            }
            Ok(count)
        }
        Way::Poll2 => {
            let connections = count.div_ceil(SHARED);
            for number in 0..connections {
                let io = TokioIo::new(connect(address, number).await?);
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                tasks.spawn(async move { connection.await.context("a connection broke") });
                for _ in number * SHARED..count.min((number + 1) * SHARED) {
                    tasks.spawn(poll2(sender.clone(), address, told.clone(), ask.clone()));
                }
            }
            Ok(connections)
        }
        Way::Events | Way::Stream => {
            let speech = if way == Way::Stream { Speech::Messages } else { Speech::Events };
            let connections = count.div_ceil(SHARED);
            let (began, mut all) = mpsc::channel(connections);
            for number in 0..connections {
                let watchers = SHARED.min(count - number * SHARED);
                let stream = connect(address, number).await?;
                let streams = Streams::new(stream, speech, watchers, told.clone(), began.clone());
                tasks.spawn(streams.follow(address));
            }
            drop(began);
            let all = async {
                for _ in 0..connections {
                    tokio::select! {
                        began = all.recv() => began.context("a watch ended before it began")?,
                        ended = tasks.join_next() => ended.context("nobody watches")?.context("a watcher failed")??,
                    }
                }
                anyhow::Ok(())
            };
            let begun = tokio::time::timeout(LIMIT, all).await;
            begun.with_context(|| format!("not all watch after {LIMIT:?}"))??;
            Ok(connections)
        }
    }
}

async fn connect(address: SocketAddr, number: usize) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // 127.0.0.2 and on.
    let source =
        std::net::Ipv4Addr::from(u32::from(std::net::Ipv4Addr::LOCALHOST) + 1 + (number / FROM_ONE) as u32);
    socket.bind((source, 0).into())?;
    socket.set_nodelay(true)?;
    let stream =
        tokio::time::timeout(LIMIT, socket.connect(address)).await.context("no connection in time")?;
    stream.with_context(|| format!("connection {number} cannot be made"))
}

async fn poll(
    way: Way,
    mut connection: Connection,
    told: mpsc::Sender<Told>,
    mut ask: watch::Receiver<Version>,
) -> Result<()> {
    loop {
        let known = Arc::clone(&ask.borrow_and_update());
        let request = match way {
            Way::Config => doors::listen(WATCHED_KEY, &known),
            _ => doors::poll(WATCHED, &known),
        };
        let answer = connection.exchange(request.as_bytes()).await.map_err(|broken| anyhow!("{broken}"))?;
        let at = Instant::now();
        let news = match way {
            Way::Config => !answer.body.is_empty(),
            _ => is_news(&answer.body, &known)?,
        };
        ensure!(answer.status == 200, "{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        if !news {
            continue;
        }
        let told_of = Told { at, watchers: 1, news: answer.body.into() };
        if told.send(told_of).await.is_err() || ask.changed().await.is_err() {
            return Ok(());
        }
    }
}

async fn poll2(
    mut sender: SendRequest<Empty<Bytes>>,
    address: SocketAddr,
    told: mpsc::Sender<Told>,
    mut ask: watch::Receiver<Version>,
) -> Result<()> {
    loop {
        let known = Arc::clone(&ask.borrow_and_update());
        let path = doors::endpoints(Service(WATCHED.0), Some(known.parse()?));
        let request = Request::get(format!("http://{address}{path}")).body(Empty::new())?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let at = Instant::now();
        ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&body));
        if !is_news(&body, &known)? {
            continue;
        }
        if told.send(Told { at, watchers: 1, news: body }).await.is_err() || ask.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// Whether a set of endpoints is another than the known one.
fn is_news(body: &[u8], known: &str) -> Result<bool> {
    let now: Known = serde_json::from_slice(body).context("no set of endpoints")?;
    Ok(now.revision.to_string() != known)
}
