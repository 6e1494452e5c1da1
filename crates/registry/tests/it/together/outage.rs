//! PostgreSQL goes away, and comes back.

use std::time::Duration;

use trellis_core::Status;
use trellis_testkit::{Postgres, wait_until};

use super::{LIMIT, Member, leased, long};
use crate::support::{id, name};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_discovery_goes_on_and_nothing_expires() {
    let server = Postgres::start().unwrap();
    let url = server.url();
    let (a, b) = (Member::start(&url).await, Member::start(&url).await);
    a.handle.admit(long("a-1", "a")).await.unwrap();
    a.handle.admit(leased("a-2", "a", Duration::from_secs(5))).await.unwrap();
    b.sees("a-1", Some(Status::Up)).await;
    b.sees("a-2", Some(Status::Up)).await;
    server.stop();
    let refused = trellis_core::Error::from(a.handle.admit(long("a-3", "a")).await.unwrap_err());
    assert_eq!(refused.code(), trellis_core::codes::STORE_UNAVAILABLE);
    let key = a.handle.own_key(&id("a-1"));
    // Longer than the lease of a-2, which nobody renews.
    let began = tokio::time::Instant::now();
    while began.elapsed() < Duration::from_secs(7) {
        assert_eq!(a.handle.discover(&name("a")).len(), 2);
        assert_eq!(b.handle.discover(&name("a")).len(), 2);
        a.handle.heartbeat(&key).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(a.handle.stats().expiries + b.handle.stats().expiries, 0);
    server.start_again().unwrap();
    // What could not be done is done when it is asked for again.
    let comes = || async { b.handle.admit(long("a-3", "a")).await.is_ok() };
    wait_until("registrations are taken again", LIMIT, comes).await.unwrap();
    a.sees("a-3", Some(Status::Up)).await;
    // And now the lease of a-2 ends at both, once.
    a.sees("a-2", Some(Status::Down)).await;
    b.sees("a-2", Some(Status::Down)).await;
    assert_eq!(a.handle.stats().expiries + b.handle.stats().expiries, 1);
    assert_eq!(b.status("a-1"), Some(Status::Up));
    a.stop().await;
    b.stop().await;
}
