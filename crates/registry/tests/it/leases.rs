//! Leases over the whole of the service, on a clock that only moves when it is told to.

use std::time::Duration;

use tempfile::TempDir;
use trellis_core::{Discovery, Status};
use trellis_registry::{Error, Lease, Options, Registration};

use crate::support::{Running, id, managed, name};

#[tokio::test]
async fn an_expired_instance_is_seen_as_down_and_then_is_gone() {
    let dir = TempDir::new().unwrap();
    let database = trellis_storage::Options::sqlite(&dir.path().join("platform.db"));
    let registry = Running::start(database, Options::default()).await;
    // Only now: the database's own limits are in real time.
    tokio::time::pause();
    let handle = &registry.handle;
    let lease = Lease::For(Duration::from_secs(15));
    handle.register(Registration { lease, ..managed("a-1", "a") }).unwrap();
    handle.register(managed("a-2", "a")).unwrap();
    let mut watch = handle.watch(&name("a"));
    watch.wait_for(|set| set.endpoints.len() == 1).await.unwrap();
    let summary = handle.service(&name("a")).unwrap();
    let seen = &summary.instances[0];
    assert_eq!((summary.up, seen.instance.status, seen.reported), (1, Status::Down, Status::Down));
    assert_eq!(seen.expires_in_ms, Some(0));
    // It may still come back, as long as it is listed.
    tokio::time::sleep(Duration::from_secs(50)).await;
    handle.renew(&id("a-1")).unwrap();
    assert_eq!(watch.borrow_and_update().endpoints.len(), 2);
    watch.wait_for(|set| set.endpoints.len() == 1).await.unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(handle.instances(&name("a")).len(), 1);
    assert!(handle.renew(&id("a-1")).is_err());
    tokio::time::resume();
    registry.stop().await;
}

#[tokio::test]
async fn nobody_but_the_platform_reports_what_it_runs() {
    let dir = TempDir::new().unwrap();
    let database = trellis_storage::Options::sqlite(&dir.path().join("platform.db"));
    let registry = Running::start(database, Options::default()).await;
    let handle = &registry.handle;
    handle.register(managed("a-1", "a")).unwrap();
    let key = handle.own_key(&id("a-1"));
    assert!(matches!(handle.report(&key, Status::Down), Err(Error::Managed(_))));
    handle.set_status(&id("a-1"), Status::Down).unwrap();
    assert_eq!(handle.instances(&name("a"))[0].status, Status::Down);
    registry.stop().await;
}
