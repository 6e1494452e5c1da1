//! What is acknowledged is there after a restart, however the last run ended.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use tempfile::TempDir;
use trellis_core::Status;
use trellis_registry::{
    CheckDefinition, CheckKind, CheckOwner, CheckStatus, Lease, NodeRegistration, Options, Registration,
    Service, ServiceKey,
};
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::Store;

use crate::child;
use crate::support::{Running, alone, id, managed, name};

fn leased(instance: &str, service: &str) -> Registration {
    Registration { lease: Lease::For(Duration::from_hours(1)), ..managed(instance, service) }
}

fn database(dir: &TempDir) -> trellis_storage::Options {
    trellis_storage::Options::sqlite(&dir.path().join("platform.db"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_registration_is_lost_by_a_kill() {
    let dir = TempDir::new().unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut process = child::registering(&dir.path().join("platform.db"));
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let seen = lines.map_while(Result::ok);
        let mut seen = seen.filter_map(|line| child::acknowledged(&line).map(str::to_owned));
        told.extend(seen.by_ref().take(300));
        process.kill().unwrap();
        told.extend(seen);
        process.wait().unwrap();
    }
    assert!(told.len() >= 600);
    let registry = Running::start(database(&dir), Options::default()).await;
    for instance in &told {
        assert!(registry.handle.instance(&id(instance)).is_ok(), "{instance} was acknowledged");
    }
    registry.stop().await;
}

#[tokio::test]
async fn nodes_checks_and_statuses_come_back_and_what_the_platform_runs_does_not() {
    let dir = TempDir::new().unwrap();
    let first = Running::start(database(&dir), Options::default()).await;
    let handle = &first.handle;
    handle.put_node(NodeRegistration::new("db-1".parse().unwrap(), "10.0.0.9")).await.unwrap();
    let elsewhere = Registration { node: Some("db-1".parse().unwrap()), ..leased("e-1", "a") };
    let elsewhere = handle.admit(elsewhere).await.unwrap().key.clone();
    handle.admit(leased("a-1", "a")).await.unwrap();
    handle.register(managed("m-1", "a")).unwrap();
    let check = CheckDefinition::new("c", CheckKind::Ttl(Duration::from_mins(10)));
    let check = handle.put_check(&CheckOwner::Instance(handle.own_key(&id("a-1"))), check).await.unwrap();
    handle.report_check(&check, CheckStatus::Passing, "fine").unwrap();
    handle.set_maintenance(&elsewhere, Some("new disk")).await.unwrap();
    handle.admit(leased("gone", "a")).await.unwrap();
    handle.withdraw(&id("gone")).await.unwrap();
    let index = handle.index();
    first.stop().await;

    let second = Running::start(database(&dir), Options::default()).await;
    let handle = &second.handle;
    let snapshot = handle.snapshot(&ServiceKey::of(name("a")));
    let seen: Vec<_> = snapshot.entries.iter().map(|e| (e.key().id.as_str(), e.instance.status)).collect();
    assert_eq!(seen, [("e-1", Status::OutOfService), ("a-1", Status::Up)]);
    let view = handle.check(&check).unwrap();
    assert_eq!((view.status, &*view.output), (CheckStatus::Passing, "fine"));
    // The wall clock stands still, and yet nothing has an index that it had before.
    assert!(snapshot.index > index);
    second.stop().await;
}

#[tokio::test]
async fn what_an_earlier_version_wrote_is_taken_over() {
    let dir = TempDir::new().unwrap();
    let first = Running::start(database(&dir), Options::default()).await;
    for instance in ["a-1", "a-2", "a-3"] {
        first.handle.admit(leased(instance, "a")).await.unwrap();
    }
    first.stop().await;
    let store = Store::open(database(&dir)).await.unwrap();
    for sql in [
        "INSERT INTO registry_instances (namespace, node, id, body)
           SELECT 'default', node, body ->> '$.registration.id', body FROM registry_rows",
        "DROP TABLE registry_rows",
        "DELETE FROM trellis_migrations WHERE owner = 'registry_rows'",
    ] {
        store.execute(sql, trellis_storage::params![]).await.unwrap();
    }
    store.close().await;
    let second = Running::start(database(&dir), Options::default()).await;
    second.handle.withdraw(&id("a-2")).await.unwrap();
    second.stop().await;
    let third = Running::start(database(&dir), Options::default()).await;
    let snapshot = third.handle.snapshot(&ServiceKey::of(name("a")));
    let seen: Vec<_> = snapshot.entries.iter().map(|entry| entry.key().id.as_str()).collect();
    assert_eq!(seen, ["a-1", "a-3"]);
    third.stop().await;
}

#[tokio::test]
async fn a_wall_clock_that_jumps_changes_neither_indexes_nor_leases() {
    let dir = TempDir::new().unwrap();
    let clock = WallClock::fixed(1_700_000_000_000);
    let store = Store::open(database(&dir)).await.unwrap();
    let options = Options::default();
    let members = alone(&store).await;
    let (service, handle) =
        Service::new(options.clone(), store.clone(), clock.clone(), members.clone()).await.unwrap();
    let shutdown = Shutdown::new();
    let task = tokio::spawn(service.run(shutdown.clone()));
    handle.admit(leased("a-1", "a")).await.unwrap();
    // The year 9999, and then long ago.
    for (jump, instance) in [(253_370_764_800_000, "a-2"), (0, "a-3")] {
        let before = handle.index();
        clock.set(jump);
        handle.admit(leased(instance, "a")).await.unwrap();
        assert!(handle.index() > before, "{jump}");
        let key = handle.own_key(&id("a-1"));
        handle.heartbeat(&key).await.unwrap();
        assert!(!handle.find(&key).unwrap().instance.expired, "{jump}");
    }
    assert_eq!(handle.discover(&name("a")).len(), 3);
    let before = handle.index();
    shutdown.trigger();
    task.await.unwrap().unwrap();
    let (_service, handle) = Service::new(options, store.clone(), clock, members).await.unwrap();
    assert!(handle.index() > before, "a run that starts in the past still counts on");
    assert_eq!(handle.discover(&name("a")).len(), 3);
    store.close().await;
}

#[tokio::test]
async fn a_heartbeat_or_a_repetition_never_touches_the_disk() {
    let dir = TempDir::new().unwrap();
    let registry = Running::start(database(&dir), Options::default()).await;
    let handle = &registry.handle;
    handle.admit(leased("a-1", "a")).await.unwrap();
    let commits = registry.store().commits();
    for _ in 0..100 {
        handle.renew(&id("a-1")).unwrap();
        handle.heartbeat(&handle.own_key(&id("a-1"))).await.unwrap();
        handle.admit(leased("a-1", "a")).await.unwrap();
    }
    assert_eq!(registry.store().commits(), commits);
    assert_eq!(handle.stats().renewals, 200);
    registry.stop().await;
}

#[tokio::test]
async fn without_its_store_it_refuses_what_is_durable_and_goes_on_with_the_rest() {
    let dir = TempDir::new().unwrap();
    let registry = Running::start(database(&dir), Options::default()).await;
    let handle = registry.handle.clone();
    handle.admit(leased("a-1", "a")).await.unwrap();
    registry.store().close().await;
    let refused = trellis_core::Error::from(handle.admit(leased("a-2", "a")).await.unwrap_err());
    assert_eq!(refused.code().id, "TRL4001");
    assert_eq!(handle.discover(&name("a")).len(), 1, "nothing half done");
    handle.renew(&id("a-1")).unwrap();
    handle.set_status(&id("a-1"), Status::Down).unwrap();
    registry.stop().await;
}
