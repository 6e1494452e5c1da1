//! This test program again, as a process of its own that can be killed.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use trellis_registry::{Handle, Lease, Options, Registration};

use crate::support::{Running, managed};
use crate::together::Member;

const URL: &str = "REGISTRY_CHILD_URL";
const PATH: &str = "REGISTRY_CHILD_PATH";
const CALLERS: usize = 16;

/// Starts a child that registers instances for ever and prints the id of each that is acknowledged.
pub(crate) fn registering(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::registers_when_it_is_the_child", "--nocapture", "--test-threads=1"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The same on a PostgreSQL that others share.
pub(crate) fn registering_at(url: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child::registers_at_a_server_when_it_is_the_child",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(URL, url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The id in a line that the child printed.
pub(crate) fn acknowledged(line: &str) -> Option<&str> {
    line.strip_prefix("acknowledged ")
}

/// Does nothing unless started by [`registering`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a test is an outermost layer")]
async fn registers_when_it_is_the_child() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let database = trellis_storage::Options::sqlite(Path::new(&path));
    let registry = Running::start(database, Options::default()).await;
    register(registry.handle.clone()).await;
}

/// Does nothing unless started by [`registering_at`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a test is an outermost layer")]
async fn registers_at_a_server_when_it_is_the_child() {
    let Some(url) = std::env::var_os(URL) else { return };
    let member = Member::start(url.to_str().unwrap()).await;
    register(member.handle.clone()).await;
}

async fn register(registry: Handle) {
    std::io::stdout().write_all(b"\n").unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let handle = registry.clone();
        callers.spawn(async move {
            // Ends with the process, or when the registry is full.
            for n in 0..5_000 {
                let id = format!("i-{caller}-{n}");
                let lease = Lease::For(Duration::from_hours(1));
                handle.admit(Registration { lease, ..managed(&id, "a") }).await.unwrap();
                // One call, so that a line is never cut by another or by the end.
                std::io::stdout().write_all(format!("acknowledged {id}\n").as_bytes()).unwrap();
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
}
