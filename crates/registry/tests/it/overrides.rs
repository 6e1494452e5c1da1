//! What an operator said holds, on every database.

use serde_json::json;
use tempfile::TempDir;
use trellis_core::Status;
use trellis_registry::{Error, Options, Registration};
use trellis_storage::{Store, params};

use crate::support::{Door, Running, id, managed, name};

type Database = trellis_storage::Options;

fn sqlite(dir: &TempDir) -> Database {
    Database::sqlite(&dir.path().join("platform.db"))
}

fn status(registry: &Running, instance: &str) -> Status {
    registry.handle.instance(&id(instance)).unwrap().instance.status
}

/// Two lives of a registry on one database.
async fn survives_a_restart(database: Database) {
    let registry = Running::start(database.clone(), Options::default()).await;
    for n in 1..=2 {
        registry.handle.register(managed(&format!("a-{n}"), "a")).unwrap();
    }
    registry.handle.register(managed("b-1", "b")).unwrap();
    registry.handle.set_override(&id("a-1"), Some(Status::Down)).await.unwrap();
    registry.handle.set_override(&id("a-1"), Some(Status::OutOfService)).await.unwrap();
    registry.handle.set_override(&id("a-2"), Some(Status::Down)).await.unwrap();
    registry.handle.set_override(&id("a-2"), None).await.unwrap();
    registry.handle.set_service_override(&name("b"), Some(Status::OutOfService)).await.unwrap();
    registry.stop().await;

    let registry = Running::start(database.clone(), Options::default()).await;
    let said = serde_json::to_value(registry.handle.overrides()).unwrap();
    assert_eq!(
        said,
        json!([
            {"kind": "service", "name": "b", "status": "OUT_OF_SERVICE", "since_unix_ms": 0},
            {"kind": "instance", "name": "a-1", "status": "OUT_OF_SERVICE", "since_unix_ms": 0},
        ])
    );
    for (instance, service) in [("a-1", "a"), ("a-2", "a"), ("b-1", "b"), ("b-2", "b")] {
        registry.handle.register(managed(instance, service)).unwrap();
    }
    assert_eq!(status(&registry, "a-1"), Status::OutOfService);
    assert_eq!(status(&registry, "a-2"), Status::Up);
    assert!(registry.handle.discover(&name("b")).is_empty(), "new instances too");
    let summary = registry.handle.service(&name("b")).unwrap();
    assert_eq!((summary.status, summary.override_status), (Status::OutOfService, Some(Status::OutOfService)));
    // Taken back, liveness counts: what it says by now, not what it said then.
    registry.handle.set_status(&id("a-1"), Status::Down).unwrap();
    registry.handle.set_override(&id("a-1"), None).await.unwrap();
    registry.handle.set_service_override(&name("b"), None).await.unwrap();
    assert_eq!(status(&registry, "a-1"), Status::Down);
    assert_eq!(registry.handle.discover(&name("b")).len(), 2);
    registry.stop().await;

    let registry = Running::start(database, Options::default()).await;
    assert_eq!(registry.handle.overrides(), []);
    registry.stop().await;
}

#[tokio::test]
async fn sqlite_keeps_it_over_a_restart() {
    let dir = TempDir::new().unwrap();
    survives_a_restart(sqlite(&dir)).await;
}

#[tokio::test]
async fn postgresql_keeps_it_over_a_restart() {
    let server = trellis_testkit::Postgres::shared().unwrap();
    survives_a_restart(Database::url(&server.fresh_database().unwrap()).unwrap()).await;
}

#[tokio::test]
async fn it_is_on_disk_before_the_answer_and_heartbeats_never_are() {
    let dir = TempDir::new().unwrap();
    let registry = Running::start(sqlite(&dir), Options::default()).await;
    let other = Store::open(sqlite(&dir)).await.unwrap();
    registry.handle.register(managed("a-1", "a")).unwrap();
    let commits = registry.store().commits();
    for _ in 0..100 {
        registry.handle.renew(&id("a-1")).unwrap();
        registry.handle.register(managed("a-1", "a")).unwrap();
        registry.handle.set_status(&id("a-1"), Status::Up).unwrap();
    }
    assert_eq!(registry.store().commits(), commits);
    for said in [Status::OutOfService, Status::Up, Status::Down] {
        registry.handle.set_override(&id("a-1"), Some(said)).await.unwrap();
        let row: String = other.fetch_one("SELECT status FROM registry_overrides", params![]).await.unwrap();
        assert_eq!((row.as_str(), status(&registry, "a-1")), (said.as_str(), said));
    }
    other.close().await;
    registry.stop().await;
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_applied() {
    let dir = TempDir::new().unwrap();
    let registry = Running::start(sqlite(&dir), Options::default()).await;
    registry.handle.register(managed("a-1", "a")).unwrap();
    registry.store().execute("DROP TABLE registry_overrides", params![]).await.unwrap();
    let refused = registry.handle.set_override(&id("a-1"), Some(Status::Down)).await;
    assert!(matches!(refused, Err(Error::Store(_))), "{refused:?}");
    assert_eq!((status(&registry, "a-1"), registry.handle.overrides().len()), (Status::Up, 0));
    registry.stop().await;
}

#[tokio::test]
async fn clearing_strikes_out_what_only_the_disk_has() {
    let dir = TempDir::new().unwrap();
    let registry = Running::start(sqlite(&dir), Options::default()).await;
    // As a commit leaves it that was kept although it was reported as failed.
    let sql = "INSERT INTO registry_overrides VALUES ('service', 'a', 'DOWN', 0)";
    registry.store().execute(sql, params![]).await.unwrap();
    registry.handle.set_service_override(&name("a"), None).await.unwrap();
    let left: i64 =
        registry.store().fetch_one("SELECT COUNT(*) FROM registry_overrides", params![]).await.unwrap();
    assert_eq!(left, 0);
    registry.stop().await;
}

#[tokio::test]
async fn a_name_that_nobody_has_is_refused_and_the_number_is_bounded() {
    let dir = TempDir::new().unwrap();
    let registry = Running::start(sqlite(&dir), Options { max_overrides: 1, ..Options::default() }).await;
    let handle = registry.handle.clone();
    let down = Some(Status::Down);
    assert!(matches!(handle.set_override(&id("a-1"), down).await, Err(Error::UnknownInstance(_))));
    assert!(matches!(handle.set_service_override(&name("a"), down).await, Err(Error::UnknownService(_))));
    assert!(handle.set_override(&id("a-1"), None).await.is_ok(), "nothing was said, and so it stays");
    handle.register(Registration { status: Status::Starting, ..managed("a-1", "a") }).unwrap();
    handle.set_override(&id("a-1"), down).await.unwrap();
    assert!(matches!(handle.set_service_override(&name("a"), down).await, Err(Error::TooManyOverrides(1))));
    // What is there can be changed and taken back, also when its instance is gone.
    handle.deregister(&id("a-1")).unwrap();
    handle.set_override(&id("a-1"), Some(Status::Up)).await.unwrap();
    handle.set_override(&id("a-1"), None).await.unwrap();
    registry.stop().await;
    assert!(matches!(handle.set_override(&id("a-1"), down).await, Err(Error::Stopping)));
}

#[tokio::test]
async fn a_row_of_another_version_stops_the_start_and_is_named() {
    let dir = TempDir::new().unwrap();
    Running::start(sqlite(&dir), Options::default()).await.stop().await;
    let store = Store::open(sqlite(&dir)).await.unwrap();
    let sql = "INSERT INTO registry_overrides VALUES ('instance', 'a-1', 'DRAINING', 0)";
    store.execute(sql, params![]).await.unwrap();
    let clock = trellis_runtime::WallClock::fixed(0);
    let members = crate::support::alone(&store).await;
    let refused =
        trellis_registry::Service::new(Options::default(), store, clock, members).await.err().unwrap();
    assert!(refused.detail().contains("(instance, a-1, DRAINING)"), "{}", refused.detail());
}

#[tokio::test]
async fn the_door_sets_and_clears_it() {
    let door = Door::open().await;
    door.client.register("a-1", "a").await;
    let out = json!({"status": "OUT_OF_SERVICE"});
    for path in ["/v1/instances/a-1/override", "/v1/services/a/override"] {
        assert_eq!(door.client.put(path, out.clone()).await.status, 204);
        assert_eq!(door.client.get("/v1/services/a").await.json["status"], "OUT_OF_SERVICE");
        assert_eq!(door.client.get("/v1/overrides").await.json.as_array().unwrap().len(), 1);
        assert_eq!(door.client.delete(path).await.status, 204);
        assert_eq!(door.client.get("/v1/services/a").await.json["status"], "UP");
        assert_eq!(door.client.put(path, json!({"status": "OUT"})).await.refusal(), (422, "TRL2002"));
        assert_eq!(door.client.put(path, json!({})).await.refusal(), (422, "TRL2002"));
    }
    assert_eq!(door.client.put("/v1/services/b/override", out.clone()).await.refusal(), (404, "TRL2004"));
    assert_eq!(door.client.put("/v1/instances/b-1/override", out).await.refusal(), (404, "TRL2004"));
}

#[tokio::test]
async fn one_caller_after_the_other_and_disk_and_memory_agree() {
    let dir = TempDir::new().unwrap();
    let registry = Running::start(sqlite(&dir), Options::default()).await;
    registry.handle.register(managed("a-1", "a")).unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..100 {
        let handle = registry.handle.clone();
        callers.spawn(async move {
            let said = [Some(Status::Up), Some(Status::Down), Some(Status::OutOfService), None][n % 4];
            handle.set_override(&id("a-1"), said).await.unwrap();
        });
    }
    // Some go away in the middle of it.
    for _ in 0..50 {
        callers.join_next().await.unwrap().unwrap();
    }
    callers.shutdown().await;
    let handle = registry.handle.clone();
    registry.stop().await;
    let memory = handle.overrides();
    let registry = Running::start(sqlite(&dir), Options::default()).await;
    assert_eq!(registry.handle.overrides(), memory);
    registry.stop().await;
}
