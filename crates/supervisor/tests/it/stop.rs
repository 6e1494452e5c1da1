//! Stopping: order, grace, and that nothing is left.

use std::time::Duration;

use trellis_supervisor::{ProcessEvent, ProcessState};

use crate::fleet::{Fleet, Story, gated, module, needing, shell};
use crate::system::{gone, runs};

fn stopped(events: &[ProcessEvent]) -> Vec<&str> {
    let mut ids = Vec::new();
    for event in events {
        if let ProcessEvent::Stopped { id } = event {
            ids.push(id.as_str());
        }
    }
    ids
}

#[tokio::test]
async fn what_is_needed_stops_after_what_needs_it_and_nothing_is_left() {
    let fleet = Fleet::start(vec![
        module("users", "family"),
        needing(module("orders", "family"), &["users"]),
        needing(module("web", "serve"), &["orders"]),
    ]);
    assert_eq!(fleet.handle.settled().await, []);
    let mut pids = Vec::new();
    for status in fleet.handle.processes() {
        pids.extend(status.pid);
        pids.extend(
            status.last_lines.iter().filter_map(|line| line.strip_prefix("grandchild ")?.parse::<u32>().ok()),
        );
    }
    assert_eq!(pids.len(), 5);
    assert!(pids.iter().all(|&pid| runs(pid)));
    let handle = fleet.handle.clone();
    let story = fleet.stop().await;
    assert_eq!(stopped(&story.events), ["web-1", "orders-1", "users-1"]);
    assert!(
        !story.events.iter().any(|event| matches!(event, ProcessEvent::Exited { .. })),
        "no end by itself"
    );
    gone(&pids).await;
    for status in handle.processes() {
        assert_eq!((status.state, status.pid), (ProcessState::Stopped, None));
        assert_eq!(status.last_exit.as_deref(), Some("killed by signal 15 (SIGTERM)"));
    }
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed_after_the_grace() {
    let mut deaf = shell("deaf", "trap '' TERM; exec \"$FIXTURE\" serve");
    deaf.grace = Duration::from_millis(200);
    let fleet = Fleet::start(vec![deaf]);
    fleet.ready("deaf-1", 1).await;
    let (pid, _) = fleet.started("deaf-1", 0).await;
    let handle = fleet.handle.clone();
    let story = fleet.stop().await;
    assert_eq!(stopped(&story.events), ["deaf-1"]);
    assert_eq!(handle.processes()[0].last_exit.as_deref(), Some("killed by signal 9 (SIGKILL)"));
    gone(&[pid]).await;
}

#[tokio::test]
async fn what_a_module_has_started_has_the_grace_as_well() {
    // The shell in the background ends after the module itself.
    let script = r#"(trap 'sleep 0.3; echo finished; exit' TERM; echo set; while :; do sleep 0.05; done) &
                    exec "$FIXTURE" serve"#;
    let fleet = Fleet::start(vec![shell("family", script)]);
    fleet.ready("family-1", 1).await;
    let said = |text: &str, story: &Story| story.lines.iter().any(|(_, _, line)| line == text);
    fleet.until("the trap", |story| said("set", story).then_some(())).await;
    assert!(said("finished", &fleet.stop().await));
}

#[tokio::test]
async fn what_waits_or_backs_off_is_stopped_as_it_is() {
    let gates = tempfile::tempdir().unwrap();
    let mut crash = module("crash", "crash");
    crash.restart.backoff = trellis_core::HumanDuration::from_secs(3600);
    crash.restart.max_backoff = trellis_core::HumanDuration::from_secs(3600);
    let fleet = Fleet::start(vec![
        crash,
        gated("users", &gates.path().join("never")),
        needing(module("orders", "serve"), &["users"]),
    ]);
    fleet.exited("crash-1", 0).await;
    fleet.started("users-1", 0).await;
    let story = fleet.stop().await;
    let mut names = stopped(&story.events);
    assert_eq!(names.last(), Some(&"users-1"));
    names.sort_unstable();
    assert_eq!(names, ["crash-1", "orders-1", "users-1"]);
}

#[tokio::test]
async fn a_supervisor_without_processes_waits_for_its_end() {
    let fleet = Fleet::start(vec![]);
    assert_eq!(fleet.handle.settled().await, []);
    assert!(stopped(&fleet.stop().await.events).is_empty());
}

#[tokio::test]
async fn a_supervisor_that_is_dropped_kills_everything() {
    let fleet = Fleet::start(vec![module("users", "family")]);
    assert_eq!(fleet.handle.settled().await, []);
    let status = fleet.status("users-1");
    let grandchild = status.last_lines.iter().find_map(|line| line.strip_prefix("grandchild ")?.parse().ok());
    let pids = [status.pid.unwrap(), grandchild.unwrap()];
    let handle = fleet.handle.clone();
    fleet.abort();
    gone(&pids).await;
    handle.settled().await;
}
