//! What the machine says about processes and ports.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for anything in these tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) const FIXTURE: &str = env!("CARGO_BIN_EXE_supervisor-fixture");

pub(crate) fn kill(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Whether a process runs; one that ended and was not yet waited for does not.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which is in brackets and may hold anything.
    let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    !state.is_empty() && !state.starts_with(['Z', 'X'])
}

/// Waits until none of the processes runs.
pub(crate) async fn gone(pids: &[u32]) {
    for &pid in pids {
        eventually(&format!("{pid} is gone"), || (!runs(pid)).then_some(())).await;
    }
}

/// The children of a process, with their command lines.
pub(crate) fn children(pid: u32) -> Vec<(u32, String)> {
    let mut children = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        // A thread may end while we look.
        let list = std::fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default();
        for child in list.split_whitespace() {
            let line = std::fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
            children.push((child.parse().unwrap(), line.replace('\0', " ")));
        }
    }
    children
}

/// Waits for something that nobody announces.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(DEADLINE, async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("it did not come true that {what}"))
}

/// The body of the answer to a request.
pub(crate) async fn get(port: u16) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(DEADLINE, exchange).await.unwrap().unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[expect(clippy::disallowed_methods, reason = "tests are an outermost layer")]
pub(crate) fn python() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = trellis_supervisor::resolve_command(
        "python3".as_ref(),
        "/usr/bin".as_ref(),
        Some(&path),
        "/".as_ref(),
    );
    found.expect("these tests need python3")
}
