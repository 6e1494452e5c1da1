//! What is wrong is refused, with the place, and changes nothing.

use axum::body::Body;
use futures_util::stream;
use trellis_config::Options;

use super::{Client, JSON};
use crate::support::{Database, options, space};

const ROUTES: &[(&str, &str)] = &[
    ("GET", "/keys"),
    ("GET", "/keys/k"),
    ("PUT", "/keys/k"),
    ("DELETE", "/keys/k"),
    ("GET", "/history/k"),
    ("GET", "/diff/k?from=1&to=2"),
    ("POST", "/rollback/k?to=1"),
    ("PUT", "/gray/k"),
    ("POST", "/gray/k"),
    ("DELETE", "/gray/k"),
    ("POST", "/txn"),
    ("GET", "/audit"),
    ("GET", "/schemas"),
    ("PUT", "/schemas"),
    ("DELETE", "/schemas"),
    ("GET", "/watch"),
];

/// A body that each of these methods takes.
fn body(path: &str) -> &'static str {
    match path {
        path if path.starts_with("/gray") => r#"{"value": 1, "rule": {"share": 0.5}}"#,
        path if path.starts_with("/txn") => "[]",
        _ => "{}",
    }
}

#[tokio::test]
async fn names_and_parameters_are_strict_on_every_route() {
    let node = Database::sqlite().start_kept().await;
    let door = Client::of(&node);
    for (method, path) in ROUTES {
        let sep = if path.contains('?') { '&' } else { '?' };
        let mut wrong = vec![
            (format!("/v1/config/Shop/dev{path}"), 400),
            (format!("/v1/config/shop/d%2Fv{path}"), 400),
            (format!("/v1/config/{}/dev{path}", "a".repeat(300)), 400),
            (format!("{path}{sep}nonsense=1"), 400),
        ];
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        if let Some(before) = bare.strip_suffix("/k") {
            for key in ["a%20b", "..", "a//b", "%00", &"x".repeat(300)] {
                wrong.push((format!("{before}/{key}?{query}"), 400));
            }
        }
        for (path, status) in wrong {
            let answer = door.json(method, &path, body(&path)).await;
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
            assert!(!answer.code().is_empty(), "{method} {path}");
        }
    }
    assert_eq!(door.get("/watch?wait=soon").await.status, 400);
    assert_eq!(door.get("/watch?labels=x&instance=i").await.status, 422);
    assert_eq!(door.get("/history/k?limit=-1").await.status, 400);
    assert_eq!(door.json("POST", "/rollback/k", "").await.status, 422);
    assert_eq!(door.json("PUT", "/keys/k?cas=new", "1").await.status, 400);
    let refused = door.ask("PATCH", "/keys/k", &[], "").await;
    assert_eq!((refused.status.as_u16(), refused.code().is_empty()), (405, false));
    assert_eq!(node.handle.config_audit(&space(), "", None, 9).await.unwrap(), [], "nothing was changed");
    node.stop().await;
}

#[tokio::test]
async fn bodies_are_checked_and_never_shown() {
    let node = Database::sqlite().start_kept().await;
    let door = Client::of(&node);
    let (text, none) = ("content-type: text/plain", "x-nothing: 1");
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    for (method, path, header, body, status) in [
        ("PUT", "/keys/k", JSON, "{hunter2", 422),
        ("PUT", "/keys/k", JSON, "", 422),
        ("PUT", "/keys/k", JSON, "1 2", 422),
        ("PUT", "/keys/k", JSON, &deep, 422),
        ("PUT", "/keys/k", none, "hunter2", 415),
        ("PUT", "/keys/k", "content-type: image/png", "hunter2", 415),
        ("PUT", "/gray/k", text, "hunter2", 415),
        ("PUT", "/gray/k", JSON, "hunter2", 400),
        ("PUT", "/gray/k", JSON, r#"{"value": "hunter2"}"#, 422),
        ("PUT", "/gray/k", JSON, r#"{"value": "hunter2", "rule": {}}"#, 422),
        ("PUT", "/gray/k", JSON, r#"{"value": 1, "rule": {"share": "hunter2"}}"#, 422),
        ("PUT", "/gray/k", JSON, r#"{"value": 1, "rule": {"share": 1.5}}"#, 422),
        ("PUT", "/gray/k", JSON, r#"{"value": 1, "rule": {"when": "host == 'a'"}}"#, 422),
        ("PUT", "/gray/k", JSON, r#"{"value": 1, "rule": {"when": "labels.zone =="}}"#, 422),
        ("PUT", "/gray/k", JSON, r#"{"value": 1, "rule": {"who": "hunter2"}}"#, 422),
        (
            "PUT",
            "/gray/k",
            JSON,
            r#"{"value": {"a": "hunter2"}, "format": "text", "rule": {"share": 1}}"#,
            422,
        ),
        ("POST", "/txn", JSON, r#"{"key": "hunter2"}"#, 422),
        ("POST", "/txn", JSON, r#"[{"key": "a", "value": 1, "more": "hunter2"}]"#, 422),
        ("POST", "/txn", JSON, r#"[{"key": "a b", "value": "hunter2"}]"#, 422),
        ("POST", "/txn", JSON, r#"[{"key": "a", "value": "hunter2", "format": "xml"}]"#, 422),
        ("PUT", "/schemas", JSON, r#"{"type": "no type"}"#, 422),
        ("PUT", "/schemas", JSON, "[", 400),
    ] {
        let answer = door.ask(method, path, &[header], body).await;
        let shown = body.get(..40).unwrap_or(body);
        assert_eq!(answer.status, status, "{method} {path} {shown}: {}", answer.text);
        assert!(!answer.code().is_empty() && !answer.text.contains("hunter2"), "{shown}: {}", answer.text);
    }
    let many = format!("[{}]", vec![r#"{"key": "a", "value": 1}"#; 129].join(","));
    let answer = door.json("POST", "/txn", &many).await;
    assert!(answer.status == 422 && answer.text.contains("128"), "{}", answer.text);
    assert!(node.handle.config_list(&space(), "", None, false, false).unwrap().items.is_empty());
    node.stop().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_whether_or_not_it_says_so() {
    let node = Database::sqlite().start_kept_with(Options { max_value: 100, ..options() }).await;
    let door = Client::of(&node);
    let value = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    assert_eq!(door.json("PUT", "/keys/k", &value(100)).await.status, 200);
    // One that comes in pieces has no length to be refused by.
    let unsized_body = |bytes: usize| {
        let pieces = value(bytes)
            .into_bytes()
            .chunks(7)
            .map(|p| Ok::<_, std::io::Error>(p.to_vec()))
            .collect::<Vec<_>>();
        Body::from_stream(stream::iter(pieces))
    };
    let huge = 100 + (64 << 10);
    for (method, path, bytes) in
        [("PUT", "/keys/k", 101), ("PUT", "/gray/k", huge), ("POST", "/txn", huge), ("PUT", "/schemas", huge)]
    {
        let answer = door.json(method, path, &value(bytes + 1)).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (413, "TRL1009"), "{method} {path}");
        let answer = door.send(method, path, &[JSON], unsized_body(bytes + 1)).await;
        assert_eq!(answer.status(), 413, "{method} {path} in pieces");
    }
    // Within the body's limit, but a value that is over its own.
    let txn = format!(r#"[{{"key": "k", "value": {}}}]"#, value(101));
    assert_eq!(door.json("POST", "/txn", &txn).await.status, 413);
    let gray = format!(r#"{{"value": {}, "rule": {{"share": 1}}}}"#, value(101));
    assert_eq!(door.json("PUT", "/gray/k", &gray).await.status, 413);
    assert_eq!(node.handle.config_list(&space(), "", None, false, false).unwrap().items[0].version, 1);
    node.stop().await;
}
