//! Ten thousand watchers that never read: they cost a bounded amount of memory, and the others are served.

use std::net::SocketAddr;

use ::http::Request;
use bytes::Bytes;
use futures_util::future::join_all;
use h2::client::{Builder, ResponseFuture, SendRequest};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::support::{self, DEADLINE, Door, Platform, eventually, http};

const WATCHERS: usize = 10_000;
/// Fewer than a connection may carry.
const STREAMS: usize = 200;
/// Of the service that is watched: an answer about it has tens of kilobytes.
const INSTANCES: u8 = 200;
/// What all watchers together may cost. If each had an answer of its own it would be gigabytes.
const MAX_MIB: u64 = 300;

/// Watchers over HTTP/2 that let the server send no byte of a body.
struct Watchers {
    connections: Vec<JoinHandle<()>>,
    answers: Vec<ResponseFuture>,
    /// A connection ends with what sends over it.
    senders: Vec<SendRequest<Bytes>>,
}

impl Watchers {
    async fn start(url: &str, accept: &str) -> Self {
        let (authority, _) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).unwrap();
        let address: SocketAddr = authority.parse().unwrap();
        let mut watchers = Self { connections: Vec::new(), answers: Vec::new(), senders: Vec::new() };
        for _ in 0..WATCHERS / STREAMS {
            let stream = TcpStream::connect(address).await.unwrap();
            let mut builder = Builder::new();
            builder.initial_window_size(0);
            let (mut sender, connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
            watchers.connections.push(tokio::spawn(async move { drop(connection.await) }));
            for _ in 0..STREAMS {
                sender = sender.ready().await.unwrap();
                let request = Request::get(url).header("accept", accept).body(()).unwrap();
                watchers.answers.push(sender.send_request(request, true).unwrap().0);
            }
            watchers.senders.push(sender);
        }
        watchers
    }

    /// Waits until each has the head of an answer; the bodies stay where they are.
    async fn all_are_answered(&mut self) -> Vec<h2::RecvStream> {
        let answers = tokio::time::timeout(DEADLINE * 4, join_all(self.answers.drain(..))).await;
        let answers = answers.expect("everyone is answered").into_iter();
        answers
            .map(|answer| {
                let answer = answer.expect("an answer");
                assert_eq!(answer.status(), 200);
                answer.into_body()
            })
            .collect()
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        self.senders.clear();
        for connection in &self.connections {
            connection.abort();
        }
    }
}

fn start() -> (tempfile::TempDir, Platform) {
    let folder = support::folder("[[route]]\npath = \"/\"\nrespond = { status = 204 }\n");
    let platform = Platform::up(folder.path(), &[]);
    for number in 1..=INSTANCES {
        Door::Native.register(&platform, "big", number);
    }
    (folder, platform)
}

fn mib(platform: &Platform) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", platform.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

fn waiting(platform: &Platform) -> u64 {
    let text = http::get(&platform.door("consul", "/v1/agent/metrics?format=prometheus")).body;
    let line =
        text.lines().find_map(|line| line.strip_prefix("trellis_registry_waiting ")).expect("a figure");
    line.parse().expect("a number")
}

fn all_wait(platform: &Platform) {
    eventually("all wait", || (waiting(platform) == WATCHERS as u64).then_some(()));
}

/// Another set of instances.
fn change(platform: &Platform, number: u8) {
    let url = platform.admin(&format!("/v1/instances/big-{number}"));
    let body = json!({ "service": "big", "host": "10.2.0.1", "port": 1, "lease": "1h" });
    assert_eq!(http::put(&url, "application/json", &body.to_string()).status, 200);
}

fn others_are_served(platform: &Platform) {
    for door in Door::ALL {
        assert_eq!(door.discover(platform, "big").len(), usize::from(INSTANCES), "{door:?}");
        if door != Door::Dns {
            door.register(platform, &format!("by-{door:?}").to_lowercase(), 1);
        }
    }
}

fn is_bounded(platform: &Platform, before: u64) {
    let after = mib(platform);
    assert!(after < before + MAX_MIB, "{before} MiB, then {after}");
}

/// Those who poll `door` never read what they are told.
async fn pollers(door: &'static str, path: fn(&Platform) -> String, refusal: &'static str) {
    let (_folder, platform) = spawn_blocking(start).await.unwrap();
    let before = mib(&platform);
    let url = path(&platform);
    let mut watchers = Watchers::start(&url, "*/*").await;
    let platform = spawn_blocking(move || {
        all_wait(&platform);
        // There is a bound, and who is over it is told so.
        let refused = http::get(&url);
        assert_eq!(refused.status, 503, "{door}: {refused:?}");
        assert!(refused.head.contains(refusal) || refused.body.contains(refusal), "{refused:?}");
        others_are_served(&platform);
        change(&platform, 1);
        platform
    })
    .await
    .unwrap();
    let bodies = watchers.all_are_answered().await;
    assert_eq!(bodies.len(), WATCHERS);
    let platform = spawn_blocking(move || {
        for number in 2..20 {
            change(&platform, number);
            change(&platform, number - 1);
        }
        is_bounded(&platform, before);
        assert_eq!(waiting(&platform), 0);
        platform
    })
    .await
    .unwrap();
    drop((watchers, bodies));
    spawn_blocking(move || platform.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pollers_of_the_native_api() {
    let path = |platform: &Platform| {
        let now = http::get(&platform.admin("/v1/services/big/endpoints")).json();
        platform.admin(&format!("/v1/services/big/endpoints?revision={}&wait=5m", now["revision"]))
    };
    pollers("admin", path, "TRL1014").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pollers_of_the_door_for_consul() {
    let path = |platform: &Platform| {
        let url = platform.door("consul", "/v1/health/service/big?passing");
        let answer = http::get(&url);
        let index =
            answer.head.lines().find_map(|line| line.strip_prefix("x-consul-index: ")).expect("an index");
        format!("{url}&index={}&wait=5m", index.trim())
    };
    pollers("consul", path, "trl1014").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_of_configuration() {
    let (_folder, platform) = spawn_blocking(start).await.unwrap();
    let before = mib(&platform);
    let write = |platform: &Platform, number: usize| {
        let value = json!({ "number": number, "text": "x".repeat(10_000) });
        let url = platform.admin("/v1/config/demo/dev/keys/large");
        let answer = http::put(&url, "application/json", &value.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    write(&platform, 0);
    let mut watchers =
        Watchers::start(&platform.admin("/v1/config/demo/dev/watch"), "text/event-stream").await;
    let bodies = watchers.all_are_answered().await;
    assert_eq!(bodies.len(), WATCHERS);
    let platform = spawn_blocking(move || {
        for number in 1..=50 {
            write(&platform, number);
        }
        is_bounded(&platform, before);
        others_are_served(&platform);
        let read = http::get(&platform.admin("/v1/config/demo/dev/keys/large?raw=true")).json();
        assert_eq!(read["number"], 50);
        platform
    })
    .await
    .unwrap();
    drop((watchers, bodies));
    spawn_blocking(move || platform.stop()).await.unwrap();
}
