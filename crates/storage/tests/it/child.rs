//! This test program again, as a process of its own that can be killed.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures_util::future::join_all;
use trellis_storage::{Options, Store, params};

use crate::conformance::feed::change;

const PATH: &str = "STORE_CHILD_PATH";
const URL: &str = "STORE_CHILD_URL";
const WRITES: &str = "STORE_CHILD_WRITES";
const WRITERS: i64 = 16;

/// Starts a child that inserts rows with ids from `first` on, and prints the id of each row that is acknowledged.
pub(crate) fn writer(path: &Path, first: i64, writes: i64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::writes_when_it_is_the_child", "--nocapture", "--test-threads=1"])
        .env(PATH, path)
        .env(WRITES, format!("{first} {writes}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Starts a child that announces ids from `first` on in this database, and prints each that is acknowledged, with its
/// revision.
pub(crate) fn announcer(url: &str, first: i64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::announces_when_it_is_the_child", "--nocapture", "--test-threads=1"])
        .env(URL, url)
        .env(WRITES, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Revision and id in a line that such a child printed.
pub(crate) fn announced(line: &str) -> Option<(u64, i64)> {
    let (revision, id) = line.strip_prefix("announced ")?.split_once(' ')?;
    Some((revision.parse().ok()?, id.parse().ok()?))
}

/// The id in a line that the child printed.
pub(crate) fn acknowledged(line: &str) -> Option<i64> {
    line.strip_prefix("acknowledged ")?.parse().ok()
}

/// Does nothing unless started by [`writer`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a test is an outermost layer")]
async fn writes_when_it_is_the_child() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let range = std::env::var_os(WRITES).unwrap();
    let (first, writes) = range.to_str().unwrap().split_once(' ').unwrap();
    let (first, writes): (i64, i64) = (first.parse().unwrap(), writes.parse().unwrap());
    let store = Store::open(Options::sqlite(Path::new(&path))).await.unwrap();
    println!();
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for id in (first..first + writes).filter(|id| id % WRITERS == writer) {
                let sql = "INSERT INTO t (id, n) VALUES ($1, 0)";
                store.execute(sql, params![id]).await.unwrap();
                // One call, so that a line is never cut by another or by the end.
                std::io::stdout().write_all(format!("acknowledged {id}\n").as_bytes()).unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
}

/// Does nothing unless started by [`announcer`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a test is an outermost layer")]
async fn announces_when_it_is_the_child() {
    let Some(url) = std::env::var_os(URL) else { return };
    let first: i64 = std::env::var_os(WRITES).unwrap().to_str().unwrap().parse().unwrap();
    let store = Store::open(Options::url(url.to_str().unwrap()).unwrap()).await.unwrap();
    println!();
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for id in (first + writer..).step_by(WRITERS as usize) {
                let revision = change(&store, id).await.unwrap();
                std::io::stdout().write_all(format!("announced {revision} {id}\n").as_bytes()).unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
}
