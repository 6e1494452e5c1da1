//! Keys, sessions and transactions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use trellis_config::kv::{Behavior, Cause, MAX_VALUE, NewSession, Put, Topic, TxnOp};
use trellis_config::{Error, Handle};

use crate::support::{Database, options};

pub(super) fn put(text: &str) -> Put {
    Put { value: Bytes::from(text.to_owned()), ..Put::default() }
}

fn set(key: &str, text: &str) -> TxnOp {
    TxnOp::Set { key: key.into(), value: Bytes::from(text.to_owned()), flags: 0 }
}

fn index(handle: &Handle, key: &str) -> u64 {
    handle.kv_get(key).value.unwrap().modify_index
}

pub(super) async fn keys_are_written_read_and_removed(db: Database) {
    let node = db.start().await;
    let kv = &node.handle;
    assert!(kv.kv_get("a").value.is_none() && kv.kv_get("a").index >= 1);
    for key in ["a/b/1", "a/b/2", "a/c", "b"] {
        assert!(kv.kv_put(key, put("x")).await.unwrap());
    }
    let before = index(kv, "a/c");
    assert!(kv.kv_put("a/c", put("x")).await.unwrap());
    assert_eq!(index(kv, "a/c"), before, "an identical write changes nothing");
    let keys =
        |separator| kv.kv_keys("a/", separator).value.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(keys(None), ["a/b/1", "a/b/2", "a/c"]);
    assert_eq!(keys(Some("/")), ["a/b/", "a/c"]);
    assert_eq!(kv.kv_list("a/b").value.len(), 2);

    assert!(!kv.kv_put("a/c", Put { cas: Some(0), ..put("y") }).await.unwrap(), "it is there");
    assert!(!kv.kv_put("a/c", Put { cas: Some(before + 999), ..put("y") }).await.unwrap());
    assert!(kv.kv_put("a/c", Put { cas: Some(before), flags: u64::MAX, ..put("y") }).await.unwrap());
    assert_eq!(kv.kv_get("a/c").value.unwrap().flags, u64::MAX);
    assert!(kv.kv_put("new", Put { cas: Some(0), ..put("y") }).await.unwrap());

    let listed = kv.kv_list("a/b/").index;
    assert!(!kv.kv_delete("a/b/2", Some(1)).await.unwrap());
    assert!(kv.kv_delete("a/b/2", None).await.unwrap());
    assert!(kv.kv_delete("missing", Some(7)).await.unwrap());
    let after = kv.kv_list("a/b/").index;
    assert!(after > listed, "a deletion raises the index of its list");
    kv.kv_delete_tree("a/").await.unwrap();
    assert!(kv.kv_list("a/").value.is_empty() && kv.kv_list("a/").index > after);
    assert!(kv.kv_get("b").value.is_some());
    node.stop().await;
}

pub(super) async fn the_first_change_of_all_is_seen_by_who_waited_for_it(db: Database) {
    let node = db.start().await;
    let (kv, topic) = (&node.handle, Topic::Key("first".into()));
    let before = kv.kv_get("first").index;
    let sessions = kv.session_list(None).index;
    let (woken, written) =
        tokio::join!(kv.watch_topic(&topic, before, Duration::from_secs(30)), kv.kv_put("first", put("x")));
    assert!(written.unwrap() && woken.unwrap() > before);
    assert!(index(kv, "first") > before && index(kv, "first") > sessions);
    node.stop().await;
}

pub(super) async fn a_lock_has_one_holder(db: Database) {
    let node = db.start().await;
    let kv = &node.handle;
    let new = |delay| NewSession { lock_delay: Duration::from_secs(delay), ..NewSession::of_node("n1") };
    let (one, two) =
        (kv.session_create(new(0)).await.unwrap().id, kv.session_create(new(60)).await.unwrap().id);
    let acquire = |id| Put { acquire: Some(id), ..put("held") };
    assert!(kv.kv_put("lock", acquire(one)).await.unwrap());
    assert!(kv.kv_put("lock", acquire(one)).await.unwrap());
    assert!(!kv.kv_put("lock", acquire(two)).await.unwrap());
    assert_eq!(kv.kv_get("lock").value.unwrap().lock_index, 1);
    assert!(kv.kv_put("lock", put("anybody may write")).await.unwrap());
    assert_eq!(kv.kv_get("lock").value.unwrap().session, Some(one));
    assert!(!kv.kv_put("lock", Put { release: Some(two), ..put("") }).await.unwrap());
    assert!(kv.kv_put("lock", Put { release: Some(one), ..put("") }).await.unwrap());
    assert!(kv.kv_put("lock", acquire(two)).await.unwrap());
    assert_eq!(kv.kv_get("lock").value.unwrap().lock_index, 2);

    assert!(kv.session_destroy(two).await.unwrap());
    assert_eq!(kv.kv_get("lock").value.unwrap().session, None, "released");
    assert!(!kv.kv_put("lock", acquire(one)).await.unwrap(), "its lock delay runs");
    let unknown = kv.kv_put("other", acquire(two)).await.unwrap_err();
    assert!(unknown.to_string().starts_with("invalid session"), "{unknown}");

    let checks = ["web".to_owned()].into();
    let gone = NewSession { behavior: Behavior::Delete, checks, ..new(0) };
    let id = kv.session_create(gone).await.unwrap().id;
    assert!(kv.kv_put("ephemeral", acquire(id)).await.unwrap());
    let other = Cause::Check { node: "n1".into(), check: "other".into() };
    assert_eq!(kv.invalidate_sessions_of(&other).await.unwrap(), 0);
    let check = Cause::Check { node: "n1".into(), check: "web".into() };
    assert_eq!(kv.invalidate_sessions_of(&check).await.unwrap(), 1);
    assert!(kv.kv_get("ephemeral").value.is_none(), "deleted");
    assert_eq!(kv.invalidate_sessions_of(&Cause::Node("n1".into())).await.unwrap(), 1);
    assert!(kv.session_list(None).value.is_empty());
    assert!(kv.session_renew(one).await.unwrap().is_none());
    node.stop().await;
}

pub(super) async fn transactions_are_all_or_nothing(db: Database) {
    let node = db.start().await;
    let kv = &node.handle;
    let done = kv.kv_txn(vec![set("t/a", "1"), set("t/b", "2")]).await.unwrap();
    assert_eq!(done.index, Some(index(kv, "t/a")));
    assert_eq!(index(kv, "t/a"), index(kv, "t/b"), "one revision for all");
    let get = TxnOp::Get { key: "missing".into() };
    let stale = TxnOp::CheckIndex { key: "t/a".into(), index: 999_999 };
    let error = kv.kv_txn(vec![set("t/c", "3"), get, set("t/d", "4"), stale]).await.unwrap_err();
    let Error::Txn(errors) = error else { panic!("{error}") };
    assert_eq!(errors.iter().map(|e| e.index).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(kv.kv_list("t/").value.len(), 2);
    let read = kv.kv_txn(vec![TxnOp::GetTree { prefix: "t/".into() }]).await.unwrap();
    assert_eq!((read.index, read.results[0].len()), (None, 2));
    let moved = vec![set("t/e", "5"), TxnOp::DeleteTree { prefix: "t/".into() }, set("t/f", "6")];
    kv.kv_txn(moved).await.unwrap();
    assert_eq!(kv.kv_keys("t/", None).value, [Arc::from("t/f")]);
    node.stop().await;
}

pub(super) async fn whoever_waits_is_woken(db: Database) {
    let node = db.start().await;
    let kv = node.handle.clone();
    kv.kv_put("w/a", put("1")).await.unwrap();
    for topic in [Topic::Key("w/a".into()), Topic::Prefix("w/".into()), Topic::Prefix("".into())] {
        let known = kv.kv_index(&topic);
        let waiter = tokio::spawn({
            let (kv, topic) = (kv.clone(), topic.clone());
            async move { kv.watch_topic(&topic, known, Duration::from_mins(5)).await }
        });
        crate::support::until("it waits", || kv.waiting() == 1).await;
        kv.kv_put("unrelated", put(&format!("{topic:?}"))).await.unwrap();
        kv.kv_put("w/a", put(&format!("{topic:?}"))).await.unwrap();
        let index = waiter.await.unwrap().unwrap();
        assert!(index > known, "{topic:?}");
    }
    let behind = kv.watch_topic(&Topic::Key("w/a".into()), 1, Duration::from_mins(5)).await.unwrap();
    assert_eq!(behind, index(&kv, "w/a"), "answered at once");
    node.stop().await;
}

pub(super) async fn everything_is_there_after_a_restart(db: Database) {
    let node = db.start().await;
    let new = NewSession { ttl: Some(Duration::from_secs(10)), ..NewSession::of_node("n1") };
    let id = node.handle.session_create(new).await.unwrap().id;
    node.handle.kv_put("k", Put { acquire: Some(id), flags: 7, ..put("v") }).await.unwrap();
    node.handle.kv_put("gone", put("v")).await.unwrap();
    node.handle.kv_delete("gone", None).await.unwrap();
    let (entry, list) = (node.handle.kv_get("k"), node.handle.kv_list(""));
    node.stop().await;
    let node = db.start().await;
    assert_eq!(node.handle.kv_get("k"), entry);
    assert_eq!(node.handle.kv_list("").value, list.value);
    assert!(node.handle.kv_list("").index >= list.index);
    assert!(node.handle.session_renew(id).await.unwrap().is_some());
    node.stop().await;
}

pub(super) async fn limits_are_kept(db: Database) {
    let limits = trellis_config::Options { max_kv_keys: 2, max_sessions: 1, max_ops: 3, ..options() };
    let node = db.start_with(limits).await;
    let kv = &node.handle;
    kv.kv_put("a", put("")).await.unwrap();
    kv.kv_put("b", put("")).await.unwrap();
    assert!(matches!(kv.kv_put("c", put("")).await, Err(Error::Full(_))));
    assert!(kv.kv_put("a", put("other")).await.unwrap());
    kv.session_create(NewSession::of_node("n")).await.unwrap();
    assert!(matches!(kv.session_create(NewSession::of_node("n")).await, Err(Error::Full(_))));
    let many = (0..4).map(|n| TxnOp::Get { key: format!("{n}").into() }).collect();
    assert!(matches!(kv.kv_txn(many).await, Err(Error::TooManyOps { count: 4, limit: 3 })));
    let large = Put { value: vec![0; MAX_VALUE + 1].into(), ..Put::default() };
    assert!(matches!(kv.kv_put("a", large).await, Err(Error::ValueTooLarge { .. })));
    assert!(matches!(kv.kv_put(&"k".repeat(513), put("")).await, Err(Error::Invalid { .. })));
    assert!(matches!(kv.kv_put("", put("")).await, Err(Error::Invalid { .. })));
    let short = NewSession { ttl: Some(Duration::from_secs(9)), ..NewSession::of_node("n") };
    let refused = kv.session_create(short).await.unwrap_err().to_string();
    assert!(refused.starts_with("Invalid Session TTL"), "{refused}");
    node.stop().await;
}
