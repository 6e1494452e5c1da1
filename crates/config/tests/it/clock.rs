//! The machine's clock jumps. It dates the history, and decides nothing.

use std::time::Duration;

use trellis_config::kv::{MAX_LOCK_DELAY, NewSession, Put};

use crate::support::{Database, author, set, space};

/// The first millisecond of the year 9999, and one long before there was a clock.
const JUMPS: [i64; 3] = [253_370_764_800_000, 0, -62_135_596_800_000];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_ends_no_session_shortens_no_delay_and_turns_no_order() {
    let db = Database::sqlite();
    let node = db.start().await;
    let kv = &node.handle;
    let mortal = NewSession { ttl: Some(Duration::from_secs(10)), ..NewSession::of_node("n") };
    let mortal = kv.session_create(mortal).await.unwrap().id;
    let delayed = NewSession { lock_delay: MAX_LOCK_DELAY, ..NewSession::of_node("n") };
    let delayed = kv.session_create(delayed).await.unwrap().id;
    let acquire = |id| Put { acquire: Some(id), ..Put::default() };
    assert!(kv.kv_put("held", acquire(mortal)).await.unwrap());
    assert!(kv.kv_put("delayed", acquire(delayed)).await.unwrap());
    assert!(kv.session_destroy(delayed).await.unwrap());
    let mut index = kv.revision();
    for (number, jump) in JUMPS.into_iter().enumerate() {
        node.clock.set(jump);
        assert!(kv.session_renew(mortal).await.unwrap().is_some(), "{jump}");
        assert_eq!(kv.kv_get("held").value.unwrap().session, Some(mortal), "{jump}");
        assert!(!kv.kv_put("delayed", acquire(mortal)).await.unwrap(), "{jump}");
        kv.config_apply(vec![set("key", &number.to_string())], author()).await.unwrap();
        assert!(kv.revision() > index, "{jump}");
        index = kv.revision();
    }
    let key = space().key("key").unwrap();
    let history = kv.config_history(&key, None, 9, false).await.unwrap();
    let versions: Vec<u64> = history.iter().map(|item| item.version).collect();
    assert_eq!(versions, [3, 2, 1], "by version, whatever the time was");
    node.stop().await;
    // The next run begins long before the last one.
    let node = db.start().await;
    assert!(node.handle.revision() >= index);
    assert!(node.handle.session_renew(mortal).await.unwrap().is_some());
    assert!(!node.handle.kv_put("delayed", acquire(mortal)).await.unwrap(), "the delay runs anew");
    node.stop().await;
}
