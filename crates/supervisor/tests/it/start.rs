//! Starting: order, readiness, and what is said when it does not come.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use trellis_core::codes;
use trellis_core::model::SocketMode;
use trellis_supervisor::{NotReady, Options, ProcessEvent, ProcessState};

use crate::fleet::{Fleet, gated, module, needing, options, shell};
use crate::system::{DEADLINE, eventually, get};

/// Where in the story something happened to a process.
fn place(events: &[ProcessEvent], process: &str, ready: bool) -> Option<usize> {
    events.iter().position(|event| match event {
        ProcessEvent::Started { id, .. } => !ready && id.as_str() == process,
        ProcessEvent::Ready { id, .. } => ready && id.as_str() == process,
        _ => false,
    })
}

#[tokio::test]
async fn a_module_starts_when_all_it_needs_is_ready_and_the_others_at_once() {
    let gates = tempfile::tempdir().unwrap();
    let gate = |name: &str| gates.path().join(name);
    let fleet = Fleet::start(vec![
        needing(module("web", "serve"), &["orders"]),
        needing(module("orders", "serve"), &["users", "payments"]),
        gated("users", &gate("users")),
        gated("payments", &gate("payments")),
    ]);
    // Neither can become ready before both have started.
    let (_, port) = fleet.started("users-1", 0).await;
    fleet.started("payments-1", 0).await;
    assert_eq!(fleet.status("orders-1").state, ProcessState::Waiting);
    std::fs::write(gate("users"), "").unwrap();
    fleet.ready("users-1", 1).await;
    assert_eq!(place(&fleet.events(), "orders-1", false), None, "payments is not ready yet");
    std::fs::write(gate("payments"), "").unwrap();
    assert_eq!(fleet.handle.settled().await, []);

    let events = fleet.events();
    let at = |process, ready| place(&events, process, ready).unwrap();
    assert!(at("orders-1", false) > at("users-1", true).max(at("payments-1", true)));
    assert!(at("web-1", false) > at("orders-1", true));
    let status = fleet.status("users-1");
    assert_eq!((status.state, status.port, status.restarts), (ProcessState::Ready, port, 0));
    assert_eq!(get(port).await, "OK");
    fleet.stop().await;
}

#[tokio::test]
async fn a_module_begins_with_the_limit_of_open_files_that_is_meant_for_it() {
    let script = "echo soft $(ulimit -Sn) hard $(ulimit -Hn); exec $FIXTURE serve";
    let told = async |open_files: Option<u64>| {
        let options = Options { open_files, ..options() };
        let fleet = Fleet::start_with(options, vec![shell("users", script)]);
        fleet.ready("users-1", 1).await;
        let (_, _, line) = fleet.until("the limit", |story| story.lines.first().cloned()).await;
        fleet.stop().await;
        line
    };
    let own = getrlimit(Resource::Nofile);
    let text = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    assert_eq!(told(Some(77)).await, format!("soft 77 hard {}", text(own.maximum)));
    assert_eq!(told(None).await, format!("soft {} hard {}", text(own.current), text(own.maximum)));
}

#[tokio::test]
async fn one_replica_that_is_ready_is_enough() {
    let gates = tempfile::tempdir().unwrap();
    let mut second = gated("users", &gates.path().join("never"));
    second.id = "users-2".parse().unwrap();
    let fleet =
        Fleet::start(vec![second, module("users", "serve"), needing(module("orders", "serve"), &["users"])]);
    fleet.ready("orders-1", 1).await;
    assert_eq!(fleet.status("users-2").state, ProcessState::Starting);
    fleet.stop().await;
}

#[tokio::test]
async fn what_is_not_ready_in_time_is_reported_and_started_again() {
    let gates = tempfile::tempdir().unwrap();
    let mut slow = gated("users", &gates.path().join("open"));
    slow.start_timeout = Duration::from_millis(300);
    let fleet =
        Fleet::start(vec![slow, needing(module("orders", "serve"), &["users"]), module("web", "serve")]);

    let failed = tokio::time::timeout(DEADLINE, fleet.handle.settled()).await.unwrap();
    let [users, orders] = <[NotReady; 2]>::try_from(failed).unwrap();
    assert_eq!(users.id.as_str(), "users-1");
    assert!(users.reason.starts_with("not ready within 300ms: "), "{}", users.reason);
    assert_eq!((orders.id.as_str(), orders.reason.as_str()), ("orders-1", "waits for users"));
    let error = trellis_core::Error::from(orders);
    assert_eq!(error.code(), codes::NOT_READY);
    assert_eq!(error.detail(), "orders-1 did not become ready: waits for users");

    let (reason, _) = fleet.exited("users-1", 0).await;
    assert!(
        reason.contains("not ready within 300ms") && reason.ends_with("killed by signal 15 (SIGTERM)"),
        "{reason}"
    );
    std::fs::write(gates.path().join("open"), "").unwrap();
    fleet.ready("orders-1", 1).await;
    assert_eq!(fleet.handle.settled().await, []);
    fleet.stop().await;
}

#[tokio::test]
async fn the_reason_for_not_being_ready_is_what_the_health_path_said() {
    let gates = tempfile::tempdir().unwrap();
    let mut shut = gated("users", &gates.path().join("never"));
    shut.start_timeout = Duration::from_secs(2);
    let fleet = Fleet::start(vec![shut]);
    let failed = fleet.handle.settled().await;
    assert_eq!(failed[0].reason, "not ready within 2s: GET /health answered 503: the gate is shut");
    fleet.stop().await;
}

#[tokio::test]
async fn a_health_path_that_hangs_is_no_answer() {
    let mut hangs = module("users", "linger");
    // Its socket takes connections from the start, and it never answers.
    hangs.socket = SocketMode::Inherit;
    hangs.health_timeout = Duration::from_millis(50);
    hangs.start_timeout = Duration::from_secs(1);
    let fleet = Fleet::start(vec![hangs]);
    let failed = fleet.handle.settled().await;
    assert_eq!(failed[0].reason, "not ready within 1s: GET /health did not answer within 50ms");
    fleet.stop().await;
}

#[tokio::test]
async fn a_crash_at_the_first_start_is_reported_with_its_last_words() {
    let fleet = Fleet::start(vec![module("orders", "crash"), module("users", "serve")]);
    let failed = fleet.handle.settled().await;
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].reason, "exit code 3");
    assert!(failed[0].last_lines.contains(&"no such table: orders".to_owned()), "{failed:?}");
    assert_eq!(fleet.status("orders-1").last_exit.as_deref(), Some("exit code 3"));
    fleet.stop().await;
}

#[tokio::test]
async fn a_module_that_stops_answering_is_unready_until_it_answers_again() {
    let gates = tempfile::tempdir().unwrap();
    let gate = gates.path().join("open");
    std::fs::write(&gate, "").unwrap();
    let fleet = Fleet::start(vec![gated("users", &gate)]);
    fleet.ready("users-1", 1).await;
    std::fs::remove_file(&gate).unwrap();
    let reason = fleet
        .until("unreadiness", |story| {
            story.events.iter().find_map(|event| match event {
                ProcessEvent::Unready { reason, .. } => Some(reason.clone()),
                _ => None,
            })
        })
        .await;
    assert_eq!(reason, "GET /health answered 503: the gate is shut");
    eventually("it is shown", || (fleet.status("users-1").state == ProcessState::Unready).then_some(()))
        .await;
    std::fs::write(&gate, "").unwrap();
    fleet.ready("users-1", 2).await;
    let story = fleet.stop().await;
    let starts = story.events.iter().filter(|event| matches!(event, ProcessEvent::Started { .. })).count();
    assert_eq!(starts, 1, "it was left running");
}

#[tokio::test]
async fn a_program_that_vanishes_before_it_starts_is_told_by_the_launcher() {
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("module");
    std::fs::copy("/bin/true", &program).unwrap();
    let gate = programs.path().join("open");
    let mut late = needing(shell("late", ""), &["users"]);
    late.command = vec![program.clone().into()];
    let fleet = Fleet::start(vec![late, gated("users", &gate)]);
    fleet.started("users-1", 0).await;
    std::fs::remove_file(&program).unwrap();
    std::fs::write(&gate, "").unwrap();
    let failed = fleet.handle.settled().await;
    let last = failed[0].last_lines.join("\n");
    assert!(last.contains("cannot run") && last.contains("No such file"), "{failed:?}");
    fleet.stop().await;
}
