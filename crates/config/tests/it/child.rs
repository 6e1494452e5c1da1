//! This test program again, as a process of its own that can be killed.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use futures_util::future::join_all;
use trellis_config::kv::Put;
use trellis_config::{Options, Service};
use trellis_runtime::WallClock;
use trellis_storage::Store;

const PATH: &str = "CONFIG_CHILD_PATH";
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
    let (_service, handle) = Service::new(Options::default(), store, WallClock::system()).await.unwrap();
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
