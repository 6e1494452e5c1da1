//! Sessions that depend on checks, and on platforms: what one platform knows a moment later than the other must not end them.

use serde_json::{Value, json};
use tempfile::TempDir;
use trellis_testkit::Postgres;

use super::up;
use crate::support::{self, Platform, eventually, http};

/// A platform without modules, which is a node of its own name.
fn bare(name: &str, store: &str) -> TempDir {
    support::folder(&format!(
        r#"
        [app]
        name = "demo"
        store = "{store}"
        [registry]
        node = "{name}"
        [[route]]
        path = "/"
        respond = {{ status = 204 }}
        "#
    ))
}

fn put(platform: &Platform, path: &str, body: &Value) -> String {
    let answer = http::put(&platform.door("consul", path), "application/json", &body.to_string());
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body
}

fn begin(platform: &Platform, body: &Value) -> String {
    let made: Value = serde_json::from_str(&put(platform, "/v1/session/create", body)).unwrap();
    made["ID"].as_str().unwrap().to_owned()
}

fn is_there(platform: &Platform, session: &str) -> bool {
    http::get(&platform.door("consul", &format!("/v1/session/info/{session}"))).json() != json!([])
}

#[test]
fn a_session_lasts_as_long_as_what_it_depends_on() {
    let store = Postgres::shared().unwrap().fresh_database().unwrap();
    let (first, second) = (bare("one", &store), bare("two", &store));
    let (one, two) = (up(first.path()), up(second.path()));
    // As programs start: a check, its first report, a session that depends on it, all in an instant.
    let mut sessions = Vec::new();
    for number in 0..30 {
        let platform = [&one, &two][number % 2];
        let check = format!("check-{number}");
        put(platform, "/v1/agent/check/register", &json!({ "Name": check, "CheckID": check, "TTL": "10m" }));
        put(platform, &format!("/v1/agent/check/pass/{check}"), &json!({}));
        let body = json!({ "Checks": ["serfHealth", check], "LockDelay": "0s" });
        sessions.push((check, begin(platform, &body)));
    }
    // Each of these has both platforms look at all sessions again.
    for number in 0..30 {
        put(
            [&one, &two][number % 2],
            "/v1/catalog/register",
            &json!({ "Node": format!("n-{number}"), "Address": "10.0.0.9" }),
        );
    }
    for (check, session) in &sessions {
        assert!(is_there(&one, session) && is_there(&two, session), "the session of {check}, which passes");
    }
    let (check, session) = &sessions[1];
    put(&two, &format!("/v1/agent/check/fail/{check}"), &json!({}));
    for platform in [&one, &two] {
        eventually("it ends with its check", || (!is_there(platform, session)).then_some(()));
    }
    let of_node = begin(&one, &json!({ "Node": "n-1", "Checks": [], "LockDelay": "0s" }));
    put(&two, "/v1/catalog/deregister", &json!({ "Node": "n-1" }));
    eventually("it ends with its node", || (!is_there(&two, &of_node)).then_some(()));
    // One without a time to live ends with the platform that it was begun at, and is nobody's for ever.
    let (_, of_platform) = &sessions[0];
    assert_eq!(put(&one, &format!("/v1/kv/lock?acquire={of_platform}"), &json!(1)).trim(), "true");
    let (_, stays) = &sessions[3];
    drop(one);
    eventually("it ends with its platform", || (!is_there(&two, of_platform)).then_some(()));
    let mine = begin(&two, &json!({ "LockDelay": "0s" }));
    eventually("its lock can be had", || {
        (put(&two, &format!("/v1/kv/lock?acquire={mine}"), &json!(2)).trim() == "true").then_some(())
    });
    assert!(is_there(&two, stays), "the others are not touched");
    two.stop();
}
