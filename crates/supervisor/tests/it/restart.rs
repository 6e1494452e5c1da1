//! Starting again what ended.

use std::time::Duration;

use rustix::process::Signal;
use trellis_supervisor::ProcessState;

use crate::fleet::{Fleet, module, shell};
use crate::system::{get, gone, kill, runs};

#[tokio::test]
async fn a_module_that_is_killed_comes_back_at_its_port() {
    let fleet = Fleet::start(vec![module("users", "serve"), module("web", "serve")]);
    assert_eq!(fleet.handle.settled().await, []);
    let (pid, port) = fleet.started("users-1", 0).await;
    kill(pid, Signal::KILL);
    let (reason, restart_in) = fleet.exited("users-1", 0).await;
    assert_eq!(reason, "killed by signal 9 (SIGKILL)");
    assert!(restart_in <= Duration::from_millis(10));
    fleet.ready("users-1", 2).await;
    assert_ne!(fleet.started("users-1", 1).await.0, pid);
    assert_eq!(fleet.started("users-1", 1).await.1, port);
    assert_eq!(get(port).await, "OK");
    assert_eq!(fleet.status("users-1").restarts, 1);
    assert_eq!(fleet.status("web-1").restarts, 0);
    fleet.stop().await;
}

#[tokio::test]
async fn the_wait_grows_up_to_its_cap() {
    let fleet = Fleet::start(vec![module("orders", "crash")]);
    let mut waits = Vec::new();
    for nth in 0..5 {
        let (reason, wait) = fleet.exited("orders-1", nth).await;
        assert_eq!(reason, "exit code 3");
        waits.push(wait);
    }
    for (wait, whole) in waits.into_iter().zip([10, 20, 40, 40, 40].map(Duration::from_millis)) {
        assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
    }
    fleet.stop().await;
}

#[tokio::test]
async fn a_crash_takes_what_it_had_started_with_it() {
    let fleet = Fleet::start(vec![module("users", "family")]);
    fleet.ready("users-1", 1).await;
    let grandchild = fleet
        .until("the grandchild", |story| {
            story.lines.iter().find_map(|(_, _, line)| line.strip_prefix("grandchild ")?.parse().ok())
        })
        .await;
    assert!(runs(grandchild));
    kill(fleet.started("users-1", 0).await.0, Signal::KILL);
    fleet.ready("users-1", 2).await;
    gone(&[grandchild]).await;
    assert_eq!(fleet.status("users-1").state, ProcessState::Ready);
    fleet.stop().await;
}

#[tokio::test]
async fn a_module_whose_port_was_taken_gets_another() {
    let files = tempfile::tempdir().unwrap();
    let go = files.path().join("go");
    // Does not bind its port before it is told to, so that it can be taken.
    let mut spec = shell("users", r#"[ -e "$GO" ] && exec "$FIXTURE" serve; exec "$FIXTURE" linger"#);
    spec.env.insert("GO".into(), go.to_str().unwrap().into());
    let fleet = Fleet::start(vec![spec]);
    let (pid, port) = fleet.started("users-1", 0).await;
    let thief = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::fs::write(&go, "").unwrap();
    kill(pid, Signal::KILL);
    let (_, other) = fleet.started("users-1", 1).await;
    assert_ne!(other, port);
    fleet.ready("users-1", 1).await;
    assert_eq!(fleet.handle.settled().await, []);
    assert_eq!(fleet.status("users-1").port, other);
    assert_eq!(get(other).await, "OK");
    drop(thief);
    fleet.stop().await;
}
