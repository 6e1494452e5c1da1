//! Every route does what it says.

use axum::http::Request;
use serde_json::json;

use super::Client;
use crate::support::Database;

#[tokio::test]
async fn a_key_through_its_life() {
    let node = Database::sqlite().start_kept().await;
    let door = Client::of(&node);
    // Method, path, body, status, and a part of the answer.
    let steps: &[(&str, &str, &str, u16, &str)] = &[
        ("GET", "/keys/a/b", "", 404, "TRL2004"),
        ("PUT", "/keys/a/b?cas=0&reason=first", r#"{"n": 1}"#, 200, r#""version":1"#),
        ("PUT", "/keys/a/b?cas=0", r#"{"n": 2}"#, 409, "TRL2013"),
        ("PUT", "/keys/a/b?cas=1", r#"{"n": 2}"#, 200, r#""version":2"#),
        ("PUT", "/keys/a/b", r#"{"n": 2}"#, 200, r#""version":2"#),
        ("GET", "/keys/a/b", "", 200, r#""value":{"n": 2}"#),
        ("GET", "/keys/a/b?raw=true", "", 200, r#"{"n": 2}"#),
        ("GET", "/keys?prefix=a/&values=true", "", 200, r#""value":{"n": 2}"#),
        ("GET", "/keys?prefix=b", "", 200, r#""items":[]"#),
        ("GET", "/history/a/b?limit=1", "", 200, r#""version":2"#),
        ("GET", "/history/none", "", 404, "TRL2004"),
        ("GET", "/diff/a/b?from=1&to=2", "", 200, r#""pointer":"/n""#),
        ("GET", "/diff/a/b?from=1&to=9", "", 404, "TRL2004"),
        ("POST", "/rollback/a/b?to=1", "", 200, r#""version":3"#),
        ("POST", "/rollback/a/b?to=9", "", 404, "TRL2004"),
        (
            "PUT",
            "/gray/a/b",
            r#"{"value": {"n": 5}, "rule": {"labels": {"zone": "b"}}}"#,
            200,
            r#""version":4"#,
        ),
        ("GET", "/keys/a/b?instance=i&labels=zone=b", "", 200, r#""is_candidate":true"#),
        ("GET", "/keys/a/b?instance=i&labels=zone=a", "", 200, r#""is_candidate":false"#),
        ("DELETE", "/gray/a/b", "", 200, r#""version":5"#),
        ("DELETE", "/gray/a/b", "", 409, "TRL2005"),
        (
            "PUT",
            "/gray/a/b",
            r#"{"value": "x", "format": "text", "rule": {"when": "instance.id == 'i' && labels.zone == 'b'"}}"#,
            200,
            r#""version":6"#,
        ),
        ("GET", "/keys/a/b?instance=i&labels=zone=b&raw=true", "", 200, "x"),
        ("GET", "/keys/a/b?instance=j&labels=zone=b&raw=true", "", 200, r#"{"n": 1}"#),
        ("POST", "/gray/a/b", "", 200, r#""version":7"#),
        (
            "POST",
            "/txn",
            r#"[{"key": "a/b", "value": 1}, {"key": "c", "value": 2, "cas": 7}]"#,
            409,
            "TRL2013",
        ),
        ("GET", "/keys/a/b?raw=true", "", 200, "x"),
        ("POST", "/txn", r#"[{"key": "a/b", "value": 1}, {"key": "c", "value": 2}]"#, 200, r#""version":8"#),
        ("PUT", "/schemas?path=a", r#"{"type": "string"}"#, 422, r#""key":"a/b""#),
        ("PUT", "/schemas?path=a", r#"{"type": "integer"}"#, 200, "revision"),
        ("GET", "/schemas", "", 200, r#""path":"a""#),
        ("PUT", "/keys/a/b", r#""text""#, 422, "TRL2014"),
        ("DELETE", "/schemas?path=a", "", 200, "revision"),
        ("GET", "/watch?prefix=a/", "", 200, r#""resync":true"#),
        ("DELETE", "/keys/a/b?cas=1", "", 409, "TRL2013"),
        ("DELETE", "/keys/a/b", "", 200, r#""version":9"#),
        ("GET", "/keys/a/b", "", 404, "TRL2004"),
        ("GET", "/history/a/b?before=3&limit=1", "", 200, r#""version":2"#),
        ("DELETE", "/keys/a/b?purge=true&cas=1", "", 409, "TRL2013"),
        ("DELETE", "/keys/a/b?purge=true&reason=gone", "", 200, r#""version":0"#),
        ("GET", "/history/a/b", "", 404, "TRL2004"),
        ("POST", "/rollback/a/b?to=1", "", 404, "TRL2004"),
        ("GET", "/audit?prefix=a/&limit=1", "", 200, r#""action":"purge""#),
        ("PUT", "/keys/a/b", "1", 200, r#""version":1"#),
    ];
    for (method, path, body, status, part) in steps {
        let answer = door.json(method, path, body).await;
        let is_right = answer.status == *status && answer.text.contains(part);
        assert!(is_right, "{method} {path} {body}: {} {}", answer.status, answer.text);
        assert_eq!(answer.code().is_empty(), *status == 200, "{method} {path}");
    }
    let audit = door.get("/audit?limit=1000").await.json();
    let actions: Vec<_> = audit.as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    for action in
        ["set", "rollback", "candidate", "abort", "promote", "set-schema", "remove-schema", "delete", "purge"]
    {
        assert!(actions.contains(&&json!(action)), "{action} is in the audit: {actions:?}");
    }
    node.stop().await;
}

#[tokio::test]
async fn a_version_is_the_etag_and_comes_back_as_if_match() {
    let node = Database::sqlite().start_kept().await;
    let door = Client::of(&node);
    door.json("PUT", "/keys/a", "1").await;
    let etag = door.get("/keys/a").await.etag.unwrap();
    assert_eq!(etag, "\"1\"");
    let put = async |header: &str, path: &str, body: &str| {
        door.ask("PUT", path, &[super::JSON, header], body).await.status.as_u16()
    };
    let matching = format!("if-match: {etag}");
    assert_eq!(put("if-match: \"7\"", "/keys/a", "2").await, 409);
    assert_eq!(put("if-match: W/x", "/keys/a", "2").await, 400);
    assert_eq!(put("if-match: *", "/keys/a", "2").await, 400, "which version it replaces is to be said");
    assert_eq!(put(&matching, "/keys/a?cas=2", "2").await, 400, "two that differ");
    assert_eq!(put(&matching, "/keys/a?cas=1", "2").await, 200);
    assert_eq!(put(&matching, "/keys/a", "3").await, 409);
    assert_eq!(door.get("/keys/a").await.json()["value"], 2);
    node.stop().await;
}

#[tokio::test]
async fn a_value_as_it_was_written_is_answered_at_once_and_nothing_else_is() {
    let node = Database::sqlite().start_kept().await;
    let door = Client::of(&node);
    assert_eq!(door.json("PUT", "/keys/a/b", "1").await.status, 200);
    let at_once = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(format!("/v1/config/{path}")).body(()).unwrap();
        // That it says what the router says is looked at with each request of each test.
        trellis_config::at_once(&node.handle, &request).is_some()
    };
    assert!(at_once("GET", "shop/dev/keys/a/b?raw=true"));
    for path in [
        "shop/dev/keys/a/b",
        "shop/dev/keys/a/b?raw=true&reveal=true",
        "shop/dev/keys/a/b?raw=true&instance=1",
        "shop/dev/keys/a/other?raw=true",
        "shop/dev/keys/a%2Fb?raw=true",
        "shop/dev/keys/?raw=true",
        "shop/dev/keys?raw=true",
        "shop/dev/history/a/b?raw=true",
        "shop/%64ev/keys/a/b?raw=true",
        "other/dev/keys/a/b?raw=true",
    ] {
        assert!(!at_once("GET", path), "{path}");
    }
    assert!(!at_once("PUT", "shop/dev/keys/a/b?raw=true"));
}
