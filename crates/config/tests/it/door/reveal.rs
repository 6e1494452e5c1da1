//! Secrets are shown to nobody but who may see them.

use trellis_config::Options;

use super::{Client, JSON};
use crate::support::{Database, options};

const HERE: &str = "127.0.0.1:9000";

#[tokio::test]
async fn secrets_are_in_no_answer() {
    let node = Database::sqlite().start_kept().await;
    let door = Client::of(&node);
    let text = "content-type: text/plain";
    for (method, path, header, body) in [
        ("PUT", "/keys/pw?secret=true", text, "hunter2"),
        ("PUT", "/keys/pw", text, "hunter3"),
        ("PUT", "/gray/pw", JSON, r#"{"value": "hunter4", "format": "text", "rule": {"share": 1}}"#),
        ("PUT", "/keys/pin?secret=true", JSON, r#"{"n": "hunter5"}"#),
    ] {
        let answer = door.ask(method, path, &[header], body).await;
        assert!(answer.status == 200 && !answer.text.contains("hunter"), "{}", answer.text);
    }
    let wrong = door.json("PUT", "/schemas?path=pin", r#"{"properties": {"n": {"type": "integer"}}}"#).await;
    assert!(wrong.status == 422 && wrong.text.contains("/n") && !wrong.text.contains("hunter"), "{wrong:?}");
    let paths = [
        "/keys?values=true",
        "/keys?values=true&instance=i",
        "/keys/pw",
        "/keys/pw?instance=i",
        "/keys/pw?raw=true",
        "/history/pw",
        "/diff/pw?from=1&to=2",
        "/audit",
        "/watch",
        "/watch?instance=i",
        "/schemas",
    ];
    for path in paths {
        let answer = door.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text.contains("hunter"), "{path}: {}", answer.text);
    }
    node.stop().await;
}

#[tokio::test]
async fn they_are_revealed_on_this_machine_only_and_only_if_it_is_allowed() {
    for is_allowed in [false, true] {
        let limits = Options { allow_reveal: is_allowed, ..options() };
        let node = Database::sqlite().start_kept_with(limits).await;
        let door = Client::of(&node).at(HERE);
        door.ask("PUT", "/keys/pw?secret=true", &["content-type: text/plain"], "hunter2").await;
        door.ask("PUT", "/keys/pw", &["content-type: text/plain"], "hunter3").await;
        for path in [
            "/keys?values=true&reveal=true",
            "/keys/pw?reveal=true",
            "/keys/pw?raw=true&reveal=true",
            "/history/pw?reveal=true",
            "/diff/pw?from=1&to=2&reveal=true",
            "/watch?reveal=true",
        ] {
            let here = door.get(path).await;
            let others = [
                door.at("10.1.2.3:9000").get(path).await,
                door.at("[2001:db8::1]:9000").get(path).await,
                door.ask("GET", path, &["x-forwarded-for: 127.0.0.1"], "").await,
                door.ask("GET", path, &["forwarded: for=127.0.0.1"], "").await,
            ];
            let mut refused: Vec<_> = others.iter().collect();
            if is_allowed {
                assert!(here.status == 200 && here.text.contains("hunter"), "{path}: {}", here.text);
            } else {
                refused.push(&here);
            }
            for answer in refused {
                assert_eq!((answer.status.as_u16(), &*answer.code()), (403, "TRL2019"), "{path}");
                assert!(answer.text.contains("allow_reveal") && !answer.text.contains("hunter"), "{path}");
            }
        }
        for mapped in ["[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let answer = door.at(mapped).get("/keys/pw?reveal=true").await;
            assert_eq!(answer.status == 200, is_allowed, "{mapped}");
        }
        node.stop().await;
    }
}
