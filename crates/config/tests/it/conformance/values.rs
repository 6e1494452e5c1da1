//! Versioned configuration.

use std::time::Duration;

use serde_json::{Value, json};
use trellis_config::versioned::{Change, Edit, Format, Instance, ItemView, Rule};
use trellis_config::{Error, Handle};
use trellis_core::Share;

use crate::support::{Database, author, edit, options, set, space};

fn value(view: &ItemView) -> Value {
    serde_json::from_str(view.value.as_ref().unwrap().get()).unwrap()
}

fn get(handle: &Handle, path: &str) -> Value {
    value(&handle.config_get(&space().key(path).unwrap(), None, false).unwrap())
}

async fn apply(handle: &Handle, edit: Edit) -> Result<u64, Error> {
    handle.config_apply(vec![edit], author()).await.map(|written| written[0].version)
}

pub(super) async fn versions_are_kept_compared_and_brought_back(db: Database) {
    let node = db.start_with(trellis_config::Options { history: 3, ..options() }).await;
    let (handle, key) = (&node.handle, space().key("orders/max").unwrap());
    for n in 1..=4_u64 {
        assert_eq!(apply(handle, set("orders/max", &format!("{{\"n\":{n}}}"))).await.unwrap(), n);
    }
    assert_eq!(apply(handle, set("orders/max", "{\"n\":4}")).await.unwrap(), 4, "nothing changes");
    let versions = handle.config_history(&key, None, 100, false).await.unwrap();
    assert_eq!(versions.iter().map(|v| v.version).collect::<Vec<_>>(), [4, 3, 2], "bounded");
    assert_eq!((&*versions[0].actor, versions[0].at_unix_ms), ("ada", 1_000));
    let diff = handle.config_diff(&key, 2, 4, false).await.unwrap();
    assert_eq!((&*diff.differences[0].pointer, &diff.differences[0].after), ("/n", &Some(json!(4))));
    assert!(diff.text.contains("-  \"n\": 2\n+  \"n\": 4\n"), "{}", diff.text);
    let stale = Edit { cas: Some(3), ..set("orders/max", "9") };
    assert!(matches!(apply(handle, stale).await, Err(Error::Stale { current: 4, .. })));
    assert_eq!(apply(handle, edit("orders/max", Change::Rollback { to: 2 })).await.unwrap(), 5);
    assert_eq!(get(handle, "orders/max"), json!({"n": 2}));
    assert!(matches!(
        apply(handle, edit("orders/max", Change::Rollback { to: 1 })).await,
        Err(Error::NotFound(_))
    ));
    assert_eq!(apply(handle, Edit { cas: Some(5), ..edit("orders/max", Change::Delete) }).await.unwrap(), 6);
    assert!(matches!(handle.config_get(&key, None, false), Err(Error::NotFound(_))));
    assert_eq!(apply(handle, edit("orders/max", Change::Rollback { to: 5 })).await.unwrap(), 7);
    assert!(matches!(
        apply(handle, Edit { cas: Some(0), ..set("orders/max", "1") }).await,
        Err(Error::Stale { .. })
    ));
    let audit = handle.config_audit(&space(), "orders/", None, 3).await.unwrap();
    let actions: Vec<_> = audit.iter().map(|entry| (&*entry.action, entry.version)).collect();
    assert_eq!(actions, [("rollback", Some(7)), ("delete", Some(6)), ("rollback", Some(5))]);
    assert!(matches!(apply(handle, set("bad", "{")).await, Err(Error::Invalid { .. })));
    node.stop().await;
}

pub(super) async fn a_transaction_of_values_is_all_or_nothing(db: Database) {
    let node = db.start().await;
    let handle = &node.handle;
    apply(handle, set("a", "1")).await.unwrap();
    let wrong = vec![set("b", "2"), Edit { cas: Some(9), ..set("a", "2") }];
    assert!(handle.config_apply(wrong, author()).await.is_err());
    assert_eq!(handle.config_list(&space(), "", None, true, false).unwrap().items.len(), 1);
    let written =
        handle.config_apply(vec![set("b", "2"), set("a", "2"), set("b", "3")], author()).await.unwrap();
    assert_eq!(written.iter().map(|w| w.version).collect::<Vec<_>>(), [1, 2, 2]);
    assert_eq!((get(handle, "a"), get(handle, "b")), (json!(2), json!(3)));
    node.stop().await;
}

pub(super) async fn schemas_are_enforced(db: Database) {
    let node = db.start().await;
    let handle = &node.handle;
    apply(handle, set("orders/limits/max", "{\"n\":\"x\"}")).await.unwrap();
    apply(handle, set("orders-other", "{\"n\":\"x\"}")).await.unwrap();
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let attach =
        async |schema: Value| handle.config_set_schema(&space(), "orders", Some(schema), author()).await;
    let Err(Error::Schema { violations, .. }) = attach(schema.clone()).await else { panic!("refused") };
    assert_eq!(violations.len(), 1);
    assert_eq!((&*violations[0].key, &*violations[0].pointer), ("orders/limits/max", "/n"));
    assert!(matches!(attach(json!({"type": "no such type"})).await, Err(Error::Invalid { .. })));
    apply(handle, set("orders/limits/max", "{\"n\":1}")).await.unwrap();
    attach(schema).await.unwrap();
    assert!(matches!(
        apply(handle, set("orders/limits/max", "{\"n\":1.5}")).await,
        Err(Error::Schema { .. })
    ));
    assert!(matches!(apply(handle, set("orders/new", "[]")).await, Err(Error::Schema { .. })));
    let text = Change::Set { format: Format::Text, value: "x".into(), secret: None };
    assert!(matches!(apply(handle, edit("orders/new", text)).await, Err(Error::Schema { .. })));
    let secret =
        Change::Set { format: Format::Json, value: "{\"n\":\"hunter2\"}".into(), secret: Some(true) };
    let error = apply(handle, edit("orders/pin", secret)).await.unwrap_err().to_string();
    assert!(error.contains("/n") && !error.contains("hunter2"), "{error}");
    assert_eq!(handle.config_schemas(&space()).len(), 1);
    handle.config_set_schema(&space(), "orders", None, author()).await.unwrap();
    apply(handle, set("orders/new", "[]")).await.unwrap();
    node.stop().await;
}

pub(super) async fn a_candidate_is_for_some(db: Database) {
    let node = db.start().await;
    let handle = &node.handle;
    let key = space().key("flag").unwrap();
    let instance = |zone: &str| Instance { id: "i-1".into(), labels: [("zone".into(), zone.into())].into() };
    let seen = |zone: &str| {
        let view = handle.config_get(&key, Some(&instance(zone)), false).unwrap();
        (value(&view), view.is_candidate)
    };
    let rule =
        Rule { labels: [("zone".into(), "b".into())].into(), share: Some(Share::ALL), ..Rule::default() };
    let candidate =
        |text: &'static str, rule| Change::Candidate { format: Format::Json, value: text.into(), rule };
    assert!(apply(handle, edit("flag", candidate("2", rule.clone()))).await.is_err(), "there is nothing yet");
    apply(handle, set("flag", "1")).await.unwrap();
    apply(handle, edit("flag", candidate("2", rule.clone()))).await.unwrap();
    assert_eq!((seen("a"), seen("b")), ((json!(1), false), (json!(2), true)));
    apply(handle, edit("flag", Change::Abort)).await.unwrap();
    assert_eq!(seen("b"), (json!(1), false));
    apply(handle, edit("flag", candidate("3", rule))).await.unwrap();
    apply(handle, edit("flag", Change::Promote)).await.unwrap();
    assert_eq!((seen("a"), seen("b")), ((json!(3), false), (json!(3), false)));
    assert!(matches!(apply(handle, edit("flag", Change::Promote)).await, Err(Error::Conflict(_))));
    assert!(apply(handle, edit("flag", candidate("4", Rule::default()))).await.is_err());
    node.stop().await;
}

pub(super) async fn secrets_are_never_shown_and_never_on_disk(db: Database) {
    let node = db.start().await;
    let handle = &node.handle;
    let key = space().key("db/password").unwrap();
    let secret = |text: &str| {
        edit(
            "db/password",
            Change::Set { format: Format::Text, value: text.to_owned().into(), secret: Some(true) },
        )
    };
    apply(handle, secret("hunter2")).await.unwrap();
    apply(handle, secret("hunter3")).await.unwrap();
    let shown = |reveal| value(&handle.config_get(&key, None, reveal).unwrap());
    assert_eq!((shown(false), shown(true)), (json!("***"), json!("hunter3")));
    let plain = Change::Set { format: Format::Text, value: "hunter4".into(), secret: None };
    apply(handle, edit("db/password", plain)).await.unwrap();
    assert_eq!(get(handle, "db/password"), json!("***"), "it stays a secret");
    apply(handle, edit("db/password", Change::Rollback { to: 1 })).await.unwrap();
    assert_eq!(shown(true), json!("hunter2"));
    let all = format!(
        "{:?} {:?} {:?} {:?}",
        handle.config_history(&key, None, 9, false).await.unwrap(),
        handle.config_diff(&key, 1, 2, false).await.unwrap(),
        handle.config_list(&space(), "", None, true, false).unwrap(),
        handle.config_audit(&space(), "", None, 9).await.unwrap(),
    );
    assert!(!all.contains("hunter") && all.contains("***"), "{all}");
    let diff = handle.config_diff(&key, 1, 2, false).await.unwrap();
    assert_eq!(diff.differences.len(), 1, "that they differ is told");
    let journal: Vec<String> = node.store.fetch_all("SELECT body FROM config_journal", vec![]).await.unwrap();
    assert!(!journal.iter().any(|body| body.contains("hunter")));
    for sql in ["SELECT value FROM config_cells", "SELECT value FROM config_versions"] {
        let rows: Vec<Vec<u8>> = node.store.fetch_all(sql, vec![]).await.unwrap();
        assert!(!rows.iter().any(|row| row.windows(6).any(|part| part == b"hunter")));
    }
    node.stop().await;
    let node = db
        .start_with(trellis_config::Options { keys: trellis_config::versioned::Keys::default(), ..options() })
        .await;
    let lost = node.handle.config_get(&key, None, true).unwrap_err();
    assert!(matches!(lost, Error::Secrets(_)) && !lost.to_string().contains("hunter"), "{lost}");
    node.stop().await;
}

pub(super) async fn a_watch_never_misses_the_last_value(db: Database) {
    let node = db.start().await;
    let handle = node.handle.clone();
    apply(&handle, set("w/a", "0")).await.unwrap();
    let mut watch = handle.watch(&space(), "w/", 0, None, false).unwrap();
    let wait = Duration::from_mins(5);
    let first = watch.next(wait).await.unwrap();
    assert!(first.resync && first.items.len() == 1);
    // A reader that is slow: what it misses in between does not pile up.
    for n in 1..=50 {
        apply(&handle, set("w/a", &n.to_string())).await.unwrap();
    }
    apply(&handle, set("other", "1")).await.unwrap();
    let next = watch.next(wait).await.unwrap();
    assert_eq!((next.resync, next.items.len(), value(&next.items[0])), (false, 1, json!(50)));
    let waiting = tokio::spawn(async move { watch.next(wait).await });
    apply(&handle, edit("w/a", Change::Delete)).await.unwrap();
    let gone = waiting.await.unwrap().unwrap();
    assert!(gone.items[0].value.is_none() && gone.items[0].content_type.is_none());
    // Another store, or this one set back: the watch begins anew.
    let ahead = handle.watch_once(&space(), "", u64::MAX, wait, None, false).await.unwrap();
    assert!(ahead.resync && ahead.items.len() == 1);
    node.stop().await;
}

pub(super) async fn the_index_of_what_begins_so_grows_with_each_change_of_it(db: Database) {
    let node = db.start().await;
    let (handle, wait) = (node.handle.clone(), Duration::from_mins(5));
    let index = |prefix: &str| handle.config_index(&space(), prefix).unwrap();
    let mut last = index("i/");
    assert!(last >= 1);
    for change in
        [set("i/a", "1"), set("i/ab", "1"), edit("i/a", Change::Delete), edit("i/ab", Change::Purge)]
    {
        let waiting = {
            let handle = handle.clone();
            tokio::spawn(async move { handle.config_index_after(&space(), "i/", last, wait).await })
        };
        apply(&handle, set("other", &last.to_string())).await.unwrap();
        assert_eq!(index("i/"), last, "nothing of it changed");
        apply(&handle, change).await.unwrap();
        let next = waiting.await.unwrap().unwrap();
        assert!(next > last && next == index("i/"));
        last = next;
    }
    assert_eq!(handle.config_index_after(&space(), "i/", last, Duration::ZERO).await.unwrap(), last);
    assert!(handle.config_index(&space(), "a b").is_err());
    node.stop().await;
}

pub(super) async fn a_purged_key_makes_room_and_leaves_no_history(db: Database) {
    let few = || trellis_config::Options { max_keys: 2, ..options() };
    let node = db.start_with(few()).await;
    let handle = &node.handle;
    apply(handle, set("a", "\"first\"")).await.unwrap();
    apply(handle, set("b", "1")).await.unwrap();
    apply(handle, edit("a", Change::Delete)).await.unwrap();
    assert!(matches!(apply(handle, set("c", "1")).await, Err(Error::Full(_))), "deleted keys count");
    assert!(matches!(
        apply(handle, Edit { cas: Some(9), ..edit("a", Change::Purge) }).await,
        Err(Error::Stale { .. })
    ));
    assert_eq!(apply(handle, edit("a", Change::Purge)).await.unwrap(), 0);
    assert_eq!(apply(handle, edit("a", Change::Purge)).await.unwrap(), 0, "there is nothing left");
    let left: i64 = node
        .store
        .fetch_one("SELECT count(*) FROM config_versions WHERE name = 'shop/dev/a'", vec![])
        .await
        .unwrap();
    assert_eq!(left, 0);
    let key = space().key("a").unwrap();
    assert!(matches!(handle.config_history(&key, None, 9, false).await, Err(Error::NotFound(_))));
    assert!(matches!(apply(handle, edit("a", Change::Rollback { to: 1 })).await, Err(Error::NotFound(_))));
    let audit = handle.config_audit(&space(), "a", None, 9).await.unwrap();
    let actions: Vec<_> = audit.iter().map(|entry| (&*entry.action, &*entry.actor)).collect();
    assert_eq!(actions, [("purge", "ada"), ("delete", "ada"), ("set", "ada")]);
    apply(handle, set("c", "1")).await.unwrap();
    node.stop().await;
    let node = db.start_with(few()).await;
    let names: Vec<_> = node.handle.config_list(&space(), "", None, false, false).unwrap().items;
    assert_eq!(names.iter().map(|item| &*item.key).collect::<Vec<_>>(), ["b", "c"]);
    // Written, purged and written again in one call: one version, and nothing of the one before.
    let again = vec![set("b", "\"before\""), edit("b", Change::Purge), set("b", "\"after\"")];
    node.handle.config_apply(again, author()).await.unwrap();
    node.stop().await;
    let node = db.start_with(few()).await;
    assert_eq!(get(&node.handle, "b"), json!("after"));
    let history = node.handle.config_history(&space().key("b").unwrap(), None, 9, false).await.unwrap();
    assert_eq!(history.iter().map(|version| version.version).collect::<Vec<_>>(), [1]);
    node.stop().await;
}
