//! Many instances, many callers.

use std::sync::Arc;

use tempfile::TempDir;
use tokio::task::JoinSet;
use trellis_core::{Discovery, Status};
use trellis_registry::{Lease, Options, Registration};

use crate::support::{Running, id, managed, name};

async fn registry(dir: &TempDir) -> Running {
    Running::start(trellis_storage::Options::sqlite(&dir.path().join("platform.db")), Options::default())
        .await
}

#[tokio::test]
async fn ten_thousand_instances_come_and_go_and_nothing_stays() {
    const COUNT: usize = 10_000;
    let dir = TempDir::new().unwrap();
    let registry = registry(&dir).await;
    let handle = &registry.handle;
    let mut watch = handle.watch(&name("s0"));
    let lease = Lease::For(std::time::Duration::from_hours(1));
    for round in 0..3 {
        for n in 0..COUNT {
            let service = format!("s{}", n % 100);
            handle.register(Registration { lease, ..managed(&format!("i-{n}"), &service) }).unwrap();
        }
        assert_eq!(handle.services().iter().map(|s| s.up).sum::<usize>(), COUNT);
        let full = watch.borrow_and_update().clone();
        assert_eq!(full.endpoints.len(), COUNT / 100);
        for n in 0..COUNT {
            handle.renew(&id(&format!("i-{n}"))).unwrap();
        }
        assert!(!watch.has_changed().unwrap(), "10,000 heartbeats wake nobody");
        for n in 0..COUNT {
            handle.deregister(&id(&format!("i-{n}"))).unwrap();
        }
        let empty = watch.borrow_and_update().clone();
        assert!(empty.endpoints.is_empty());
        assert!(handle.services().is_empty());
        // Counted from 1, one for each instance that came or went, in any service, and not one more.
        assert_eq!(empty.revision, ((round + 1) * 2 * COUNT) as u64 - 98);
    }
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_at_once_leave_one_truth() {
    const CALLERS: usize = 8;
    const EACH: usize = 500;
    let dir = TempDir::new().unwrap();
    let registry = registry(&dir).await;
    let mut watch = registry.handle.watch(&name("a"));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let handle = registry.handle.clone();
        callers.spawn(async move {
            for n in 0..EACH {
                // Every second id is fought over by all callers.
                let instance = if n % 2 == 0 { format!("shared-{n}") } else { format!("own-{caller}-{n}") };
                handle.register(Registration { port: 1 + caller as u16, ..managed(&instance, "a") }).unwrap();
                handle.set_status(&id(&instance), Status::Down).unwrap();
                handle.set_status(&id(&instance), Status::Up).unwrap();
                if n % 100 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    let mut last = 0;
    while !callers.is_empty() {
        tokio::select! {
            ended = callers.join_next() => ended.unwrap().unwrap(),
            seen = watch.changed() => {
                seen.unwrap();
                let set = watch.borrow_and_update().clone();
                assert!(set.revision > last, "{} after {last}", set.revision);
                assert!(set.endpoints.is_sorted_by(|a, b| a.id < b.id), "each id once, in order");
                last = set.revision;
            }
        }
    }
    let expected = EACH / 2 + CALLERS * EACH / 2;
    let set = watch.borrow_and_update().clone();
    assert_eq!(set.endpoints.len(), expected);
    assert!(Arc::ptr_eq(&set, &registry.handle.endpoints(&name("a"))), "one snapshot, shared");
    assert_eq!(registry.handle.discover(&name("a")).len(), expected);
    registry.stop().await;
}
