//! `/v1/kv`, `/v1/session`, the keys' part of `/v1/txn`, and `/v1/event`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::json;

use crate::support::{Door, all};

#[tokio::test]
async fn keys_are_written_read_and_removed() {
    let door = Door::open().await;
    let missing = door.get("/v1/kv/a/b").await;
    assert_eq!((missing.status, missing.text()), (404, ""));
    assert!(missing.index() >= 1);
    assert_eq!(door.done("/v1/kv/a/b?flags=7", "one").await.text(), "true");
    let read = door.get("/v1/kv/a/b").await;
    let row = read.json()[0].clone();
    assert_eq!(row["Value"], STANDARD.encode("one"));
    assert_eq!((&row["Key"], &row["Flags"], &row["LockIndex"]), (&json!("a/b"), &json!(7), &json!(0)));
    assert_eq!(read.header("x-consul-knownleader"), "true");
    assert_eq!(read.header("x-consul-lastcontact"), "0");
    let raw = door.get("/v1/kv/a/b?raw").await;
    assert_eq!((raw.text(), raw.header("x-content-type-options")), ("one", "nosniff"));
    let index = row["ModifyIndex"].as_u64().unwrap();
    assert_eq!(door.put(&format!("/v1/kv/a/b?cas={}", index - 1), "no").await.text(), "false");
    assert_eq!(door.put("/v1/kv/a/b?cas=0", "no").await.text(), "false");
    assert_eq!(door.put(&format!("/v1/kv/a/b?cas={index}"), "two").await.text(), "true");
    door.done("/v1/kv/a/", "").await;
    door.done("/v1/kv/a/c/d", "x").await;
    let list = door.json("/v1/kv/a/?recurse").await;
    assert_eq!(all(&list, "/Key"), ["a/", "a/b", "a/c/d"]);
    assert_eq!(list[0]["Value"], json!(null));
    assert_eq!(door.json("/v1/kv/a/?keys&separator=/").await, json!(["a/", "a/b", "a/c/"]));
    assert_eq!(door.json("/v1/kv/?keys").await, json!(["a/", "a/b", "a/c/d"]));
    assert_eq!(door.get("/v1/kv/z?recurse=true").await.status, 404);
    assert_eq!(door.delete("/v1/kv/a/b?cas=1").await.text(), "false");
    assert_eq!(door.delete("/v1/kv/a/b").await.text(), "true");
    assert_eq!(door.delete("/v1/kv/a/b").await.text(), "true");
    assert_eq!(door.delete("/v1/kv/a/?recurse").await.text(), "true");
    assert_eq!(door.get("/v1/kv/?keys").await.status, 404);
}

#[tokio::test]
async fn keys_may_have_anything_in_them() {
    let door = Door::open().await;
    for (path, key) in
        [("a%20b%23c", "a b#c"), ("%2Fx%2F", "/x/"), ("/y//", "/y//"), ("%C3%BC", "ü"), ("p+q", "p+q")]
    {
        door.done(&format!("/v1/kv/{path}"), "v").await;
        assert_eq!(door.json(&format!("/v1/kv/{path}")).await[0]["Key"], key);
    }
    assert_eq!(door.get("/v1/kv/%FF").await.status, 400);
}

#[tokio::test]
async fn locks_are_held_by_sessions() {
    let door = Door::open().await;
    let create = |body: serde_json::Value| {
        let door = &door;
        async move { door.done("/v1/session/create", body).await.json()["ID"].as_str().unwrap().to_owned() }
    };
    let one = create(json!({"Name": "one", "LockDelay": "0s"})).await;
    let two = create(json!({"name": "two", "behavior": "delete", "ttl": "20s", "lockdelay": 1})).await;
    let session = door.json(&format!("/v1/session/info/{two}")).await[0].clone();
    assert_eq!((&session["TTL"], &session["Behavior"]), (&json!("20s"), &json!("delete")));
    assert_eq!((&session["LockDelay"], &session["Checks"]), (&json!(1_000_000_000), &json!(["serfHealth"])));
    assert_eq!(door.put(&format!("/v1/kv/lock?acquire={one}"), "1").await.text(), "true");
    assert_eq!(door.put(&format!("/v1/kv/lock?acquire={two}"), "2").await.text(), "false");
    let row = door.json("/v1/kv/lock").await[0].clone();
    assert_eq!((&row["Session"], &row["LockIndex"]), (&json!(one), &json!(1)));
    assert_eq!(door.put("/v1/kv/lock?release=foo", "1").await.text(), "false");
    assert_eq!(door.put(&format!("/v1/kv/lock?release={two}"), "1").await.text(), "false");
    assert_eq!(door.put(&format!("/v1/kv/lock?release={one}"), "1").await.text(), "true");
    assert_eq!(all(&door.json("/v1/session/list").await, "/Name").len(), 2);
    assert_eq!(all(&door.json("/v1/session/node/trellis").await, "/Name").len(), 2);
    assert_eq!(door.json("/v1/session/node/other").await, json!([]));
    assert_eq!(door.done(&format!("/v1/session/renew/{two}"), "").await.json()[0]["ID"], two);
    assert_eq!(door.put(&format!("/v1/kv/lock?acquire={two}"), "2").await.text(), "true");
    assert_eq!(door.done(&format!("/v1/session/destroy/{two}"), "").await.text(), "true");
    assert_eq!(door.get("/v1/kv/lock").await.status, 404);
    assert_eq!(door.json(&format!("/v1/session/info/{two}")).await, json!([]));
    assert_eq!(door.json("/v1/session/info/none").await, json!([]));
    assert_eq!(door.put("/v1/session/renew/none", "").await.status, 404);
}

#[tokio::test]
async fn sessions_depend_on_the_health_of_the_node_unless_they_say_on_nothing() {
    let door = Door::open().await;
    let check = json!({"ID": "web", "Name": "web", "TTL": "1h", "Status": "passing"});
    door.done("/v1/agent/check/register", check).await;
    for (body, wanted) in [
        (json!({}), json!(["serfHealth"])),
        (json!({"Checks": null}), json!([])),
        (json!({"Checks": ["serfHealth"], "NodeChecks": []}), json!(["serfHealth"])),
        (json!({"Checks": []}), json!([])),
        (json!({"NodeChecks": []}), json!([])),
        (json!({"Node": "trellis", "checks": [], "node_checks": []}), json!([])),
        (json!({"ServiceChecks": []}), json!(["serfHealth"])),
        (json!({"ServiceChecks": [{"ID": "web"}]}), json!(["serfHealth", "web"])),
        (json!({"NodeChecks": [], "ServiceChecks": [{"ID": "web"}]}), json!(["web"])),
    ] {
        let made = door.done("/v1/session/create", body.clone()).await.json();
        let id = made["ID"].as_str().unwrap();
        assert_eq!(door.json(&format!("/v1/session/info/{id}")).await[0]["Checks"], wanted, "{body}");
    }
}

#[tokio::test]
async fn sessions_are_refused_with_the_words_that_clients_look_for() {
    let door = Door::open().await;
    let refused = async |path: &str, body: serde_json::Value| {
        let answer = door.put(path, body).await;
        (answer.status, answer.text().to_owned())
    };
    let (status, text) = refused("/v1/session/create", json!({"TTL": "1s"})).await;
    assert!(status == 500 && text.starts_with("Invalid Session TTL"), "{status} {text}");
    let (status, text) = refused("/v1/session/create", json!({"TTL": "soon"})).await;
    assert!(status == 500 && text.starts_with("Invalid Session TTL"), "{status} {text}");
    let (status, text) = refused("/v1/kv/a?acquire=foo", json!(1)).await;
    assert!(status == 500 && text.starts_with("invalid session"), "{status} {text}");
    let (status, text) = refused("/v1/kv/a?acquire=0ba9f46c-0d4c-4ea8-9d0c-3d6c2f3ea1a1", json!(1)).await;
    assert!(status == 500 && text.starts_with("invalid session"), "{status} {text}");
    assert_eq!(refused("/v1/session/create", json!({"Node": "n9"})).await.1, "Missing node registration");
    let (_, text) = refused("/v1/session/create", json!({"Checks": ["none"]})).await;
    assert_eq!(text, "Missing check \"none\" registration");
    door.done("/v1/agent/check/register", json!({"Name": "bad", "TTL": "10s"})).await;
    let (_, text) = refused("/v1/session/create", json!({"Checks": ["bad"]})).await;
    assert_eq!(text, "Check \"bad\" is in critical state");
    assert_eq!(refused("/v1/session/create", json!({"Behavior": "keep"})).await.0, 400);
}

#[tokio::test]
async fn transactions_on_keys_are_all_or_none() {
    let door = Door::open().await;
    let value = STANDARD.encode("1");
    let ops = json!([
        {"KV": {"Verb": "check-not-exists", "Key": "a"}},
        {"KV": {"Verb": "set", "Key": "a", "Value": value, "Flags": 3}},
        {"KV": {"Verb": "get", "Key": "a"}},
        {"KV": {"Verb": "get-tree", "Key": ""}},
    ]);
    let done = door.done("/v1/txn", &ops).await.json();
    assert_eq!(done["Errors"], json!(null));
    let values: Vec<_> = done["Results"].as_array().unwrap().iter().map(|row| &row["KV"]["Value"]).collect();
    assert_eq!(values, [&json!(null), &json!(value), &json!(value)]);
    let refused = door.put("/v1/txn", ops).await;
    assert_eq!((refused.status, &refused.json()["Errors"][0]["OpIndex"]), (409, &json!(0)));
    for (body, status) in [
        ("{}".to_owned(), 400),
        (json!([{"KV": {"Verb": "set", "Key": "a", "Value": "%"}}]).to_string(), 400),
        (json!([{"KV": {"Verb": "sit", "Key": "a"}}]).to_string(), 400),
        (
            json!([{"KV": {"Verb": "get", "Key": "a"}}, {"Node": {"Verb": "get", "Node": {"Node": "x"}}}])
                .to_string(),
            501,
        ),
        (json!(vec![json!({"KV": {"Verb": "get", "Key": "a"}}); 129]).to_string(), 413),
    ] {
        assert_eq!(door.put("/v1/txn", &body).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn events_are_fired_and_listed() {
    let door = Door::open().await;
    assert_eq!(door.json("/v1/event/list").await, json!([]));
    let fired = door.done("/v1/event/fire/deploy?node=x&dc=dc1", "body").await.json();
    assert_eq!((&fired["Name"], &fired["Payload"]), (&json!("deploy"), &json!(STANDARD.encode("body"))));
    let list = door.get("/v1/event/list?name=deploy").await;
    assert_eq!(list.json(), json!([fired]));
    assert_eq!(door.json("/v1/event/list?name=other").await, json!([]));
    let path = format!("/v1/event/list?index={}&wait=60s", list.index());
    let (waited, _) = tokio::join!(door.get(&path), async {
        tokio::task::yield_now().await;
        door.done("/v1/event/fire/again", "").await
    });
    assert_eq!(all(&waited.json(), "/Name"), ["deploy", "again"]);
    assert!(waited.index() > list.index());
    assert_eq!(door.send(Method::PUT, "/v1/event/fire/x", "y".repeat(513)).await.status, 413);
}
