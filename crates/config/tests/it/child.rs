//! This test program again, as a process of its own that can be killed.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use trellis_config::kv::{NewSession, Put};
use trellis_config::{Options, Service};
use trellis_runtime::WallClock;
use trellis_storage::Store;
use trellis_testkit::Hold;

use crate::support::{Node, options};

const PATH: &str = "CONFIG_CHILD_PATH";
const URL: &str = "CONFIG_CHILD_URL";
const NAME: &str = "CONFIG_CHILD_NAME";
const WRITERS: u64 = 8;

/// Starts a child that counts up one key for each of its writers, and prints each write that is acknowledged.
pub(crate) fn writer(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::writes_when_it_is_the_child", "--nocapture", "--test-threads=1"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Writer and number in a line that the child printed.
pub(crate) fn acknowledged(line: &str) -> Option<(u64, u64)> {
    let (writer, number) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
    Some((writer.parse().ok()?, number.parse().ok()?))
}

/// Does nothing unless started by [`writer`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a test is an outermost layer")]
async fn writes_when_it_is_the_child() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let store = Store::open(trellis_storage::Options::sqlite(Path::new(&path))).await.unwrap();
    let (_service, handle) =
        Service::new(Options::default(), store, WallClock::system(), None).await.unwrap();
    println!();
    let writers = (0..WRITERS).map(|writer| {
        let handle = handle.clone();
        tokio::spawn(async move {
            for number in 0..100_000_u64 {
                let value = Bytes::from(number.to_string());
                handle.kv_put(&format!("w/{writer}"), Put { value, ..Put::default() }).await.unwrap();
                let line = format!("acknowledged {writer} {number}\n");
                // One call, so that a line is never cut by another or by the end.
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
}

/// Starts a child that is a node on a shared database, with clients that fight for the lock `lock` with all others.
pub(crate) fn fighter(url: &str, name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::fights_when_it_is_the_child", "--nocapture", "--test-threads=1"])
        .env(URL, url)
        .env(NAME, name)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A moment at which a client of a child held the lock, in a line that it printed; by a clock that all processes share.
pub(crate) fn held(line: &str) -> Option<Hold> {
    let mut parts = line.strip_prefix("held ")?.split(' ');
    let (nanos, token) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Hold::moment(parts.next()?, token, Duration::from_nanos(nanos)))
}

/// Does nothing unless started by [`fighter`]. Its sessions are those of a node of its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a test is an outermost layer")]
async fn fights_when_it_is_the_child() {
    let (Ok(url), Ok(name)) = (std::env::var(URL), std::env::var(NAME)) else { return };
    let node = Node::start(trellis_storage::Options::url(&url).unwrap(), options()).await;
    println!();
    let clients = (0..2).map(|_| {
        let (kv, name) = (node.handle.clone(), name.clone());
        tokio::spawn(async move {
            let ttl = Some(trellis_config::kv::MIN_TTL);
            let new = || NewSession { ttl, lock_delay: Duration::ZERO, ..NewSession::of_node(&name) };
            loop {
                let session = kv.session_create(new()).await.unwrap().id;
                let put = |put: Put| kv.kv_put("lock", put);
                while put(Put { acquire: Some(session), ..Put::default() }).await.unwrap() {
                    let entry = kv.kv_get("lock").value.unwrap();
                    assert_eq!(entry.session, Some(session), "nobody takes it from its holder");
                    for _ in 0..5 {
                        let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
                        let line = format!("held {nanos} {} {session}\n", entry.lock_index);
                        std::io::stdout().write_all(line.as_bytes()).unwrap();
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    assert!(put(Put { release: Some(session), ..Put::default() }).await.unwrap());
                    tokio::task::yield_now().await;
                }
                kv.session_destroy(session).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    });
    let ended = join_all(clients).await;
    assert!(ended.is_empty(), "they fight until they are killed: {ended:?}");
}
