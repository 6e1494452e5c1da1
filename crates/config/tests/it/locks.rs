//! How long a session and its lock last.

use std::time::Duration;

use trellis_config::kv::{NewSession, Put};

use crate::support::{Database, options, space};

/// The time of a session is counted in memory, so a paused clock tells when it ends.
#[tokio::test(start_paused = true)]
async fn a_session_ends_when_nobody_renews_it_and_its_lock_is_free_after_the_delay() {
    // The clock does not run on by itself while a blocking task waits, as it would whenever the database is waited for.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let hold = tokio::task::spawn_blocking(move || held.recv());
    let db = Database::sqlite();
    let node = db.start_with(options()).await;
    let kv = &node.handle;
    let (ttl, lock_delay) = (Duration::from_secs(10), Duration::from_secs(15));
    let mortal = NewSession { ttl: Some(ttl), lock_delay, ..NewSession::of_node("n") };
    let id = kv.session_create(mortal).await.unwrap().id;
    let other = kv.session_create(NewSession::of_node("n")).await.unwrap().id;
    let acquire = |id| Put { acquire: Some(id), ..Put::default() };
    assert!(kv.kv_put("lock", acquire(id)).await.unwrap());
    // Reads fold the journal first; otherwise that would be a commit at any time.
    kv.config_audit(&space(), "", None, 1).await.unwrap();
    let commits = node.store.commits();
    for _ in 0..10 {
        tokio::time::advance(ttl).await;
        assert!(kv.session_renew(id).await.unwrap().is_some());
    }
    assert_eq!(kv.kv_get("lock").value.unwrap().session, Some(id));
    assert_eq!(node.store.commits(), commits, "renewals do not touch the disk");
    tokio::time::advance(ttl).await;
    assert!(kv.session_info(id).value.is_some(), "not before its time to live");
    tokio::time::advance(ttl).await;
    crate::support::until_yielding("it has ended", || kv.session_info(id).value.is_none()).await;
    assert!(kv.kv_get("lock").value.unwrap().session.is_none());
    assert!(!kv.kv_put("lock", acquire(other)).await.unwrap(), "the lock delay runs");
    tokio::time::advance(lock_delay).await;
    assert!(kv.kv_put("lock", acquire(other)).await.unwrap());
    assert_eq!(kv.kv_get("lock").value.unwrap().lock_index, 2);
    drop(release);
    assert!(hold.await.unwrap().is_err());
    node.stop().await;
}
