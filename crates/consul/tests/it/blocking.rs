//! Blocking queries.

use std::time::Duration;

use http::Method;
use serde_json::json;
use trellis_consul::Options;

use crate::support::{Answer, Door, all};

/// Asks once more, waiting, while something is changed.
async fn after(door: &Door, path: &str, index: u64, change: (&str, serde_json::Value)) -> Answer {
    let join = if path.contains('?') { '&' } else { '?' };
    let path = format!("{path}{join}index={index}&wait=10m");
    let changed = async {
        door.until_waiting(1).await;
        door.done(change.0, change.1).await;
    };
    tokio::join!(door.get(&path), changed).0
}

#[tokio::test]
async fn every_list_of_the_registry_can_be_waited_for() {
    let door = Door::open().await;
    door.done("/v1/agent/service/register", json!({"Name": "a", "Check": {"TTL": "1h"}})).await;
    let pass = ("/v1/agent/check/pass/service:a", json!(""));
    let warn = ("/v1/agent/check/warn/service:a", json!(""));
    for (path, changes) in [
        ("/v1/health/service/a", [&pass, &warn]),
        ("/v1/health/service/a?passing", [&pass, &warn]),
        ("/v1/health/checks/a", [&pass, &warn]),
        ("/v1/health/node/trellis", [&pass, &warn]),
        ("/v1/health/state/any", [&pass, &warn]),
        ("/v1/health/state/passing", [&pass, &warn]),
        ("/v1/catalog/node/trellis", [&pass, &warn]),
    ] {
        for change in changes {
            let first = door.get(path).await;
            let second = after(&door, path, first.index(), change.clone()).await;
            assert!(second.index() > first.index(), "{path}");
            if !path.contains("catalog") {
                assert_ne!(first.text(), second.text(), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn what_comes_and_goes_wakes_those_who_wait_for_it() {
    let door = Door::open().await;
    let register = ("/v1/agent/service/register", json!({"Name": "new", "Tags": ["x"]}));
    let first = door.get("/v1/catalog/services").await;
    let second = after(&door, "/v1/catalog/services", first.index(), register.clone()).await;
    assert_eq!(second.json(), json!({"consul": [], "new": ["x"]}));
    let gone = ("/v1/agent/service/deregister/new", json!(""));
    let third =
        after(&door, "/v1/health/service/new", door.get("/v1/health/service/new").await.index(), gone).await;
    assert_eq!(third.json(), json!([]));
    // Of a service that is not there, too.
    let unknown = door.get("/v1/catalog/service/new").await;
    assert!(unknown.index() >= 1);
    let fourth = after(&door, "/v1/catalog/service/new", unknown.index(), register).await;
    assert_eq!(all(&fourth.json(), "/ServiceID"), ["new"]);
    let node = ("/v1/catalog/register", json!({"Node": "n1", "Address": "10.0.0.1"}));
    let nodes = door.get("/v1/catalog/nodes").await;
    let fifth = after(&door, "/v1/catalog/nodes", nodes.index(), node).await;
    assert_eq!(all(&fifth.json(), "/Node"), ["n1", "trellis"]);
    let critical = door.get("/v1/health/state/critical").await;
    let out = ("/v1/agent/service/maintenance/new?enable=true", json!(""));
    let sixth = after(&door, "/v1/health/state/critical", critical.index(), out).await;
    assert_eq!(all(&sixth.json(), "/CheckID"), ["_service_maintenance:new"]);
}

#[tokio::test]
async fn another_service_wakes_nobody() {
    let door = Door::open().await;
    door.done("/v1/agent/service/register", json!({"Name": "a"})).await;
    let first = door.get("/v1/health/service/a").await;
    let path = format!("/v1/health/service/a?index={}&wait=10m", first.index());
    let others = async {
        door.until_waiting(1).await;
        for n in 0..20 {
            door.done("/v1/agent/service/register", json!({"Name": format!("b{n}")})).await;
        }
        assert_eq!(door.registry.waiting(), 1);
        door.done("/v1/agent/service/register", json!({"Name": "a", "Port": 1})).await;
    };
    let (second, ()) = tokio::join!(door.get(&path), others);
    assert_eq!(second.json()[0]["Service"]["Port"], 1);
}

#[tokio::test]
async fn keys_and_sessions_can_be_waited_for() {
    let door = Door::open().await;
    // The first revision of a store is 1, which is also the index of what is not there.
    door.done("/v1/kv/first", "").await;
    for (path, change) in [
        ("/v1/kv/a", ("/v1/kv/a", json!(1))),
        ("/v1/kv/a?recurse", ("/v1/kv/a/b", json!(1))),
        ("/v1/kv/a?keys", ("/v1/kv/a/c", json!(1))),
        ("/v1/session/list", ("/v1/session/create", json!({}))),
    ] {
        let first = door.get(path).await;
        let second = after(&door, path, first.index(), change).await;
        assert!(second.index() > first.index() && second.status == 200, "{path}: {second:?}");
    }
    let (index, path) = (door.get("/v1/kv/a").await.index(), "/v1/kv/a");
    let changed = async {
        door.until_waiting(1).await;
        door.delete("/v1/kv/a").await;
    };
    let path = format!("{path}?index={index}&wait=10m");
    let (gone, ()) = tokio::join!(door.get(&path), changed);
    assert_eq!(gone.status, 404);
    assert!(gone.index() > index);
}

#[tokio::test]
async fn a_wait_ends_an_index_of_the_future_does_not_wait_and_neither_does_none() {
    let door = Door::open().await;
    let index = door.get("/v1/catalog/nodes").await.index();
    let ended = door.get(&format!("/v1/catalog/nodes?index={index}&wait=1ms")).await;
    assert_eq!(ended.index(), index);
    for path in ["/v1/catalog/nodes", "/v1/health/state/any", "/v1/kv/a", "/v1/session/list"] {
        let early = door.get(&format!("{path}?index=999999999999999&wait=10m")).await;
        assert!(early.index() < 999_999_999_999_999, "{path}");
        door.get(&format!("{path}?index=0&wait=10m")).await;
        door.get(&format!("{path}?wait=10m")).await;
    }
    // The longest wait is the door's, whatever is asked.
    let options = Options { max_wait: Duration::from_millis(1), ..Options::default() };
    let short = Door::open_with(options).await;
    let index = short.get("/v1/catalog/nodes").await.index();
    short.get(&format!("/v1/catalog/nodes?index={index}")).await;
    short.get(&format!("/v1/catalog/nodes?index={index}&wait=10h")).await;
}

#[tokio::test]
async fn watchers_of_the_same_share_one_answer() {
    let door = Door::open().await;
    door.done("/v1/agent/service/register", json!({"Name": "a"})).await;
    let index = door.get("/v1/health/service/a?stale").await.index();
    let before = door.registry.stats();
    let path = format!("/v1/health/service/a?index={index}&wait=10m");
    let watch = || door.send(Method::GET, &path, "");
    let change = async {
        door.until_waiting(4).await;
        door.done("/v1/agent/service/register", json!({"Name": "a", "Port": 1})).await;
    };
    let (a, b, c, d, ()) = tokio::join!(watch(), watch(), watch(), watch(), change);
    assert!([&b, &c, &d].into_iter().all(|other| other.body == a.body && other.index() == a.index()));
    let after = door.registry.stats();
    assert_eq!((after.cache_misses - before.cache_misses, after.cache_hits - before.cache_hits), (1, 3));
}
