//! Each instance is looked after by one member.

use std::time::Duration;

use trellis_core::Status;
use trellis_registry::{CheckDefinition, CheckKind, CheckOwner, CheckStatus};
use trellis_testkit::wait_until;

use super::{LIMIT, Member, database, leased, long};
use crate::support::id;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_move_its_heartbeats() {
    let (_server, url) = database();
    let (a, b) = (Member::start(&url).await, Member::start(&url).await);
    a.handle.admit(long("a-1", "a")).await.unwrap();
    b.sees("a-1", Some(Status::Up)).await;
    assert_eq!(a.holder("a-1").await.as_deref(), Some(&**a.members.node_id()));
    let key = b.handle.own_key(&id("a-1"));
    b.handle.heartbeat(&key).await.unwrap();
    assert_eq!(a.holder("a-1").await.as_deref(), Some(&**b.members.node_id()));
    // From now on it is in memory only.
    let head = b.store.head().await.unwrap();
    for _ in 0..100 {
        b.handle.heartbeat(&key).await.unwrap();
    }
    assert_eq!(b.store.head().await.unwrap(), head);
    // So is a check that is reported elsewhere.
    let check = CheckDefinition::new("c", CheckKind::Ttl(Duration::from_hours(1)));
    let check = a.handle.put_check(&CheckOwner::Instance(key.clone()), check).await.unwrap();
    wait_until("the check is there", LIMIT, || async { b.handle.check(&check).is_some() }).await.unwrap();
    a.handle.report_check(&check, CheckStatus::Passing, "fine").unwrap();
    let passes = || async { b.handle.check(&check).unwrap().status == CheckStatus::Passing };
    wait_until("the report is known", LIMIT, passes).await.unwrap();
    assert_eq!(a.holder("a-1").await.as_deref(), Some(&**a.members.node_id()));
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_ends_once() {
    let (_server, url) = database();
    let (a, b) = (Member::start(&url).await, Member::start(&url).await);
    a.handle.admit(leased("a-1", "a", Duration::from_millis(300))).await.unwrap();
    a.sees("a-1", Some(Status::Down)).await;
    b.sees("a-1", Some(Status::Down)).await;
    let key = a.handle.own_key(&id("a-1"));
    assert!(b.handle.find(&key).unwrap().instance.expired);
    assert_eq!(a.handle.stats().expiries + b.handle.stats().expiries, 1);
    // It comes back at the other.
    b.handle.heartbeat(&key).await.unwrap();
    a.sees("a-1", Some(Status::Up)).await;
    a.sees("a-1", Some(Status::Down)).await;
    assert_eq!((a.handle.stats().expiries, b.handle.stats().expiries), (1, 1));
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_leaves_is_followed_by_another() {
    let (_server, url) = database();
    let (a, b) = (Member::start(&url).await, Member::start(&url).await);
    for n in 0..50 {
        a.handle.admit(long(&format!("a-{n}"), "a")).await.unwrap();
    }
    a.stop().await;
    let me = b.members.node_id().to_string();
    for n in 0..50 {
        let instance = format!("a-{n}");
        let adopted = || async { b.holder(&instance).await.as_ref() == Some(&me) };
        wait_until("it is looked after", LIMIT, adopted).await.unwrap();
        assert_eq!(b.status(&instance), Some(Status::Up));
    }
    assert_eq!(b.handle.stats().expiries, 0);
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_slept_ends_no_lease() {
    let (_server, url) = database();
    let b = Member::start(&url).await;
    // It joins, and does not renew: so it looks as if it had slept.
    let a = Member::start_with(&url, Duration::from_secs(1), false).await;
    a.handle.admit(leased("a-1", "a", Duration::from_millis(2500))).await.unwrap();
    let me = b.members.node_id().to_string();
    let adopted = || async { b.holder("a-1").await.as_ref() == Some(&me) };
    wait_until("another looks after it", LIMIT, adopted).await.unwrap();
    assert_eq!(b.status("a-1"), Some(Status::Up));
    assert!(!a.members.is_live());
    b.sees("a-1", Some(Status::Down)).await;
    a.sees("a-1", Some(Status::Down)).await;
    assert_eq!((a.handle.stats().expiries, b.handle.stats().expiries), (0, 1));
    a.stop().await;
    b.stop().await;
}
