//! A supervisor that is killed takes everything with it.

use std::process::Stdio;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::system::{DEADLINE, FIXTURE, children, eventually, gone, kill, runs};

/// A supervisor in a process of its own.
struct Platform {
    process: Child,
    pid: u32,
    told: Lines<BufReader<ChildStdout>>,
}

impl Platform {
    /// Runs the fixture in `mode` as its only module.
    fn start(mode: &str) -> Self {
        Self::run(Command::new("/bin/sh"), mode)
    }

    /// Descriptor 7 is open in it, and not meant for anybody.
    fn run(mut shell: Command, mode: &str) -> Self {
        let mut process = shell
            .args(["-c", r#"exec "$@" 7</dev/null"#, "sh", FIXTURE, "supervise", FIXTURE, mode])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let told = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { pid: process.id().unwrap(), process, told }
    }

    /// What follows a word that it tells sooner or later.
    async fn told(&mut self, word: &str) -> String {
        let found = timeout(DEADLINE, async {
            while let Some(line) = self.told.next_line().await.unwrap() {
                if let Some(rest) = line.strip_prefix(word) {
                    return rest.trim().to_owned();
                }
            }
            panic!("it ended without telling {word:?}");
        });
        found.await.unwrap_or_else(|_| panic!("it did not tell {word:?}"))
    }

    /// The guardian, the module and the module's child. Only for the mode `family`.
    async fn processes(&mut self) -> [u32; 3] {
        let module = self.told("started").await.parse().unwrap();
        let grandchild = self.told("grandchild").await.parse().unwrap();
        self.told("ready").await;
        [self.guardian().unwrap(), module, grandchild]
    }

    fn guardian(&self) -> Option<u32> {
        children(self.pid).into_iter().find(|(_, line)| line.contains("guardian")).map(|(pid, _)| pid)
    }

    async fn kill(mut self) {
        kill(self.pid, Signal::KILL);
        timeout(DEADLINE, self.process.wait()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn kill_9_leaves_neither_child_nor_grandchild() {
    let mut platform = Platform::start("family");
    let processes = platform.processes().await;
    assert!(processes.iter().all(|&pid| runs(pid)));
    platform.kill().await;
    gone(&processes).await;
}

#[tokio::test]
async fn the_child_is_gone_even_without_a_guardian() {
    let mut shell = Command::new("/bin/sh");
    // It ends like a guardian, and does nothing else.
    shell.env("GUARDIAN", "/bin/cat");
    let mut platform = Platform::run(shell, "serve");
    let module = platform.told("started").await.parse().unwrap();
    platform.told("ready").await;
    platform.kill().await;
    gone(&[module]).await;
}

#[tokio::test]
async fn a_guardian_that_is_killed_is_replaced() {
    let mut platform = Platform::start("family");
    let [guardian, module, grandchild] = platform.processes().await;
    kill(guardian, Signal::KILL);
    let replaced = || platform.guardian().filter(|&pid| pid != guardian && runs(pid));
    let next = eventually("another guardian is there", replaced).await;
    assert!(runs(module) && runs(grandchild), "the module did not notice");
    platform.kill().await;
    gone(&[next, module, grandchild]).await;
}

#[tokio::test]
async fn sigterm_ends_everything_in_order() {
    let mut platform = Platform::start("family");
    let processes = platform.processes().await;
    kill(platform.pid, Signal::TERM);
    let status = timeout(DEADLINE, platform.process.wait()).await.unwrap().unwrap();
    assert!(status.success());
    gone(&processes).await;
}

#[tokio::test]
async fn a_module_has_no_descriptors_but_its_own() {
    let mut platform = Platform::start("descriptors");
    assert_eq!(platform.told("descriptors").await, "0 1 2");
    platform.kill().await;
}
