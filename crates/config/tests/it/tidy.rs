//! What was deleted long ago is forgotten, and nobody who waits loses a change over it.

use std::time::{Duration, Instant};

use trellis_config::Options;
use trellis_config::kv::{NewSession, Put, Topic};
use trellis_storage::params;

use crate::support::{Database, LIMIT, options};

/// Old things are looked for once a minute, so a paused clock tells when.
#[tokio::test(start_paused = true)]
async fn deletions_are_forgotten_and_nothing_is_lost_with_them() {
    // The clock does not run on by itself while a blocking task waits.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let hold = tokio::task::spawn_blocking(move || held.recv());
    let limits = || Options { max_tombstones: 2, ..options() };
    let db = Database::sqlite();
    let node = db.start_with(limits()).await;
    let kv = &node.handle;
    let new = || NewSession { lock_delay: Duration::ZERO, ..NewSession::of_node("n") };
    let acquire = |id| Put { acquire: Some(id), ..Put::default() };
    let first = kv.session_create(new()).await.unwrap().id;
    assert!(kv.kv_put("lock", acquire(first)).await.unwrap());
    let token = kv.kv_get("lock").value.unwrap().lock_index;
    for key in ["k/a", "k/b", "k/c"] {
        kv.kv_put(key, Put::default()).await.unwrap();
    }
    let key = Topic::Key("k/a".into());
    let (alive, prefix) = (kv.kv_index(&key), Topic::Prefix("k/".into()));
    kv.session_destroy(first).await.unwrap();
    kv.kv_delete_tree("").await.unwrap();
    let (deleted, sessions) = (kv.kv_index(&key), kv.kv_index(&Topic::Sessions));
    assert!(deleted > alive);
    // Somebody who waits all the while, for what is yet to come.
    let waiter = tokio::spawn({
        let (kv, key) = (kv.clone(), Topic::Key("k/b".into()));
        let mut index = kv.kv_index(&key);
        async move {
            while kv.kv_get("k/b").value.is_none() {
                index = kv.watch_topic(&key, index, Duration::from_mins(10)).await.unwrap();
            }
            index
        }
    });
    kv.kv_put("other", Put::default()).await.unwrap();
    let deadline = Instant::now() + LIMIT;
    while kv.kv_index(&key) == deleted {
        assert!(Instant::now() < deadline, "it is not forgotten");
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    let sql = "SELECT count(*) FROM config_cells WHERE NOT live AND kind IN (1, 2)";
    // The disk follows.
    while node.store.fetch_one::<i64>(sql, params![]).await.unwrap() > 0 {
        assert!(Instant::now() < deadline, "it is not forgotten on disk");
        tokio::task::yield_now().await;
    }
    // Whoever knew the key alive, or knew that it was deleted, is answered at once, with a higher index.
    for after in [alive, deleted] {
        for topic in [&key, &prefix] {
            let index = kv.watch_topic(topic, after, Duration::from_mins(10)).await.unwrap();
            assert!(index > deleted, "{topic:?} after {after}: {index}");
        }
    }
    assert!(kv.kv_get("k/a").value.is_none());
    assert!(kv.kv_index(&Topic::Sessions) >= sessions);
    kv.kv_put("k/b", Put::default()).await.unwrap();
    assert!(waiter.await.unwrap() > deleted);
    // A fencing token does not come again with the key.
    let second = kv.session_create(new()).await.unwrap().id;
    kv.kv_put("lock", Put::default()).await.unwrap();
    assert!(kv.kv_put("lock", acquire(second)).await.unwrap());
    let again = kv.kv_get("lock").value.unwrap().lock_index;
    assert!(again > token, "{again} after {token}");
    let indexes = (kv.kv_index(&key), kv.kv_index(&Topic::Sessions));
    node.stop().await;
    let node = db.start_with(limits()).await;
    let kv = &node.handle;
    assert_eq!((kv.kv_index(&key), kv.kv_index(&Topic::Sessions)), indexes, "the same after a restart");
    drop(release);
    assert!(hold.await.unwrap().is_err());
    node.stop().await;
}
