//! The endpoints of a service, asked for and waited for.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::time::timeout;
use trellis_core::{Discovery, Status};
use trellis_registry::{Error, Options};

use crate::support::{Door, id, managed, name};

/// A test that waits longer has failed. Far below the waits that the tests ask for.
const LIMIT: Duration = Duration::from_secs(20);

/// Lets the request be under way: the watched service has someone waiting.
async fn until_waiting(door: &Door, places: usize) {
    let free = async {
        while door.registry.handle.waiting() != places {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, free).await.expect("the request waits");
}

#[tokio::test]
async fn a_waiting_request_is_answered_by_the_change() {
    let door = Door::open().await;
    let unknown = door.client.get("/v1/services/a/endpoints").await;
    assert_eq!(unknown.json, json!({"revision": 0, "endpoints": []}));
    let client = door.client;
    let waiting =
        tokio::spawn(async move { client.get("/v1/services/a/endpoints?revision=0&wait=5m").await });
    until_waiting(&door, 1).await;
    door.client.register("b-1", "b").await;
    assert_eq!(door.registry.handle.waiting(), 1, "another service wakes nobody");
    door.client.register("a-1", "a").await;
    let changed = timeout(LIMIT, waiting).await.unwrap().unwrap();
    assert_eq!(changed.json["endpoints"], json!([{"id": "a-1", "authority": "127.0.0.1:9", "weight": 1}]));
    assert_ne!(changed.json["revision"], 0);
    assert_eq!(door.registry.handle.waiting(), 0);
}

#[tokio::test]
async fn another_revision_is_answered_at_once() {
    let door = Door::open().await;
    door.client.register("a-1", "a").await;
    for known in [0, u64::MAX] {
        let path = format!("/v1/services/a/endpoints?revision={known}&wait=5m");
        let answer = timeout(LIMIT, door.client.get(&path)).await.unwrap();
        assert_eq!(answer.json["endpoints"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_wait_that_is_over_is_answered_with_the_same() {
    let door = Door::open().await;
    door.client.register("a-1", "a").await;
    let first = door.client.get("/v1/services/a/endpoints").await.json;
    for wait in ["0s", "50ms"] {
        let path = format!("/v1/services/a/endpoints?revision={}&wait={wait}", first["revision"]);
        assert_eq!(timeout(LIMIT, door.client.get(&path)).await.unwrap().json, first);
    }
}

#[tokio::test]
async fn too_many_waiting_requests_are_refused_and_gone_ones_make_room() {
    let door = Door::open_with(Options { max_waiters: 1, ..Options::default() }).await;
    let client = door.client;
    let path = "/v1/services/a/endpoints?revision=0&wait=5m";
    let waiting = tokio::spawn(async move { client.get(path).await });
    until_waiting(&door, 1).await;
    let refused = door.client.get(path).await;
    assert_eq!(refused.refusal(), (503, "TRL1014"));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(door.client.get("/v1/services/a/endpoints").await.status, 200, "who does not wait is served");
    waiting.abort();
    until_waiting(&door, 0).await;
}

#[tokio::test]
async fn a_registry_that_stops_keeps_nobody_waiting() {
    let door = Door::open().await;
    let client = door.client;
    let waiting =
        tokio::spawn(async move { client.get("/v1/services/a/endpoints?revision=0&wait=5m").await });
    until_waiting(&door, 1).await;
    let handle = door.registry.handle.clone();
    timeout(LIMIT, door.registry.stop()).await.unwrap();
    assert_eq!(timeout(LIMIT, waiting).await.unwrap().unwrap().status, 200);
    let again = timeout(LIMIT, handle.endpoints_after(&name("a"), 0, LIMIT * 2)).await.unwrap();
    assert!(matches!(again, Err(Error::Stopping)), "{again:?}");
}

#[tokio::test]
async fn a_stream_tells_each_set_and_goes_on_from_the_last() {
    let door = Door::open().await;
    let path = "/v1/services/a/endpoints";
    let (headers, mut events) = door.client.events(path, None).await;
    assert_eq!(headers[http::header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(headers[http::header::CACHE_CONTROL], "no-cache");
    let next = async |events: &mut crate::support::Events| timeout(LIMIT, events.next()).await.unwrap();
    assert_eq!(next(&mut events).await, Some(("0".into(), json!({"revision": 0, "endpoints": []}))));
    door.client.register("b-1", "b").await;
    door.client.register("a-1", "a").await;
    let (id, set) = next(&mut events).await.unwrap();
    assert_eq!(set, door.client.get(path).await.json);
    assert_eq!(set["revision"].to_string(), id);

    // Who has seen that hears of the next one first.
    let (_, mut again) = door.client.events(path, Some(&id)).await;
    let (_, mut asked) = door.client.events(&format!("{path}?revision={id}"), None).await;
    until_waiting(&door, 3).await;
    door.client.register("a-2", "a").await;
    let last = next(&mut events).await.unwrap();
    assert_eq!(last.1["endpoints"].as_array().unwrap().len(), 2);
    assert_eq!(
        (next(&mut again).await.as_ref(), next(&mut asked).await.as_ref()),
        (Some(&last), Some(&last))
    );

    door.registry.stop().await;
    assert_eq!(next(&mut events).await, None, "a stream ends with the registry");
}

#[tokio::test]
async fn several_services_are_asked_for_and_followed_together() {
    let door = Door::open().await;
    door.client.register("b-1", "b").await;
    let path = "/v1/endpoints?services=b,a,b";
    let list = door.client.get(path).await.json;
    let of = |set: &serde_json::Value, service: &str| {
        let mut set = set.clone();
        set["service"] = service.into();
        set
    };
    let sets = [door.client.get("/v1/services/a/endpoints").await.json, {
        door.client.get("/v1/services/b/endpoints").await.json
    }];
    assert_eq!(list, json!([of(&sets[0], "a"), of(&sets[1], "b")]));

    let names = (0..513).map(|n| format!("s{n}")).collect::<Vec<_>>().join(",");
    let many = door.client.get(&format!("/v1/endpoints?services={names}")).await;
    assert_eq!(many.refusal(), (400, "TRL2010"));
    assert!(many.detail().contains("513 names; 512 are the most"), "{}", many.detail());
    let odd = [("accept", "text/event-stream"), ("last-event-id", "17")];
    assert_eq!(door.client.get_with(path, &odd).await.refusal(), (400, "TRL2010"));
}

#[tokio::test]
async fn too_many_streams_are_refused_and_gone_ones_make_room() {
    let door = Door::open_with(Options { max_waiters: 1, ..Options::default() }).await;
    let path = "/v1/services/a/endpoints";
    let (_, events) = door.client.events(path, None).await;
    let ask = async |last| {
        door.client.get_with(path, &[("accept", "text/event-stream"), ("last-event-id", last)]).await
    };
    assert_eq!(ask("1").await.refusal(), (503, "TRL1014"));
    drop(events);
    until_waiting(&door, 0).await;
    door.client.events(path, None).await;
    assert_eq!(ask("one").await.refusal(), (400, "TRL2010"));
}

#[tokio::test]
async fn a_watch_sees_changes_of_the_set_and_nothing_else() {
    let door = Door::open().await;
    let handle = &door.registry.handle;
    let mut watch = handle.watch(&name("a"));
    assert_eq!(watch.borrow().revision, 0);
    handle.register(managed("a-1", "a")).unwrap();
    assert!(watch.has_changed().unwrap());
    let first = watch.borrow_and_update().clone();
    // Heartbeats, the same again, a status that is the same, an instance that is not up, another service.
    handle.renew(&id("a-1")).unwrap();
    handle.register(managed("a-1", "a")).unwrap();
    handle.set_status(&id("a-1"), Status::Up).unwrap();
    handle
        .register(trellis_registry::Registration { status: Status::Starting, ..managed("a-2", "a") })
        .unwrap();
    handle.register(managed("b-1", "b")).unwrap();
    assert!(!watch.has_changed().unwrap());
    handle.set_status(&id("a-2"), Status::Up).unwrap();
    let second = watch.borrow_and_update().clone();
    assert!(second.revision > first.revision);
    assert_eq!((first.endpoints.len(), second.endpoints.len()), (1, 2), "a snapshot does not change");
    handle.set_override(&id("a-1"), Some(Status::OutOfService)).await.unwrap();
    let left = watch.borrow_and_update().clone();
    assert_eq!(left.endpoints.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["a-2"]);
    let found =
        |list: Vec<trellis_core::ServiceInstance>| list.into_iter().map(|i| i.status).collect::<Vec<_>>();
    assert_eq!(found(handle.discover(&name("a"))), [Status::Up]);
    assert_eq!(found(handle.instances(&name("a"))), [Status::OutOfService, Status::Up]);
}

#[tokio::test]
async fn head_is_not_kept_waiting_without_a_revision() {
    let door = Door::open().await;
    assert_eq!(door.client.call(Method::HEAD, "/v1/services/a/endpoints?wait=5m", None).await.status, 200);
}

#[tokio::test]
async fn names_of_services_come_and_go() {
    let registry = Door::open().await.registry;
    let mut names = registry.handle.names();
    let known =
        |names: &std::collections::BTreeSet<_>| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    registry.handle.register(managed("a-1", "a")).unwrap();
    registry.handle.register(managed("b-1", "b")).unwrap();
    assert_eq!(known(&names.borrow_and_update().clone()), ["a", "b"]);
    registry.handle.register(managed("a-2", "a")).unwrap();
    assert!(!names.has_changed().unwrap(), "another instance is no other name");
    registry.handle.deregister(&id("b-1")).unwrap();
    assert_eq!(known(&names.borrow_and_update().clone()), ["a"]);
}

#[tokio::test]
async fn ten_thousand_watchers_that_never_read_cost_a_place_each_and_one_answer() {
    use trellis_registry::{ServiceKey, Topic};
    const WATCHERS: usize = 10_000;
    let door = Door::open_with(Options { max_waiters: WATCHERS, ..Options::default() }).await;
    let handle = door.registry.handle.clone();
    handle.register(managed("a-1", "a")).unwrap();
    let topic = Topic::Service(ServiceKey::of(name("a")));
    let index = handle.topic_index(&topic);
    let mut watchers = tokio::task::JoinSet::new();
    for _ in 0..WATCHERS {
        let (handle, topic) = (handle.clone(), topic.clone());
        watchers.spawn(async move {
            let now = handle.watch_topic(&topic, index, std::time::Duration::from_mins(10)).await.unwrap();
            assert!(now > index);
            handle.cached(&topic, "json", |handle| {
                let entries = handle.snapshot(&ServiceKey::of(name("a"))).entries.len();
                bytes::Bytes::from(entries.to_string())
            })
        });
    }
    while handle.waiting() < WATCHERS {
        tokio::task::yield_now().await;
    }
    let refused = handle.watch_topic(&topic, index, std::time::Duration::from_secs(1)).await;
    assert!(matches!(refused, Err(trellis_registry::Error::TooManyWaiters(_))));
    // None of them is let run in between: many changes are one wake.
    for n in 2..=100 {
        handle.register(managed(&format!("a-{n}"), "a")).unwrap();
    }
    while let Some(answer) = watchers.join_next().await {
        assert_eq!(answer.unwrap().body, "100");
    }
    let stats = handle.stats();
    assert_eq!((stats.cache_misses, stats.cache_hits), (1, WATCHERS as u64 - 1));
    assert_eq!((stats.wakes, stats.waiting, stats.refused), (WATCHERS as u64, 0, 1));
    // An index from elsewhere is answered at once.
    let foreign = handle.watch_topic(&topic, u64::MAX, std::time::Duration::from_mins(10)).await.unwrap();
    assert_eq!((foreign, handle.stats().resyncs), (handle.topic_index(&topic), 1));
    door.registry.stop().await;
}
