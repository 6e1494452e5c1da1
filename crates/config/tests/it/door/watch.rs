//! Following keys: nothing is lost, and nothing piles up.

use std::collections::HashSet;

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use trellis_config::Options;
use trellis_config::versioned::Change;

use super::{Client, JSON};
use crate::support::{Database, author, edit, options, set};

const EVENTS: &str = "accept: text/event-stream";

/// A stream of events that is read by hand.
struct Events(Body);

#[derive(Debug)]
struct Event {
    kind: String,
    id: u64,
    data: Value,
    /// Where its bytes are: the same for those who share them.
    place: usize,
}

impl Events {
    async fn open(door: &Client, path: &str, headers: &[&str]) -> Self {
        let headers: Vec<&str> = headers.iter().copied().chain([EVENTS]).collect();
        let response: Response<Body> = door.send("GET", path, &headers, Body::empty()).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        Self(response.into_body())
    }

    /// The next frame; `None` while there is none.
    fn ready(&mut self) -> Option<Event> {
        loop {
            // A budget of the runtime would have many of them wait for nothing.
            let frame = tokio::task::unconstrained(self.0.frame())
                .now_or_never()?
                .unwrap()
                .unwrap()
                .into_data()
                .unwrap();
            if !frame.starts_with(b":") {
                return Some(read(&frame));
            }
        }
    }

    async fn next(&mut self) -> Event {
        loop {
            let frame = self.0.frame().await.unwrap().unwrap().into_data().unwrap();
            if !frame.starts_with(b":") {
                return read(&frame);
            }
        }
    }
}

fn read(bytes: &Bytes) -> Event {
    let text = std::str::from_utf8(bytes).unwrap();
    let field = |name: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert!(text.ends_with("\n\n"), "{text:?}");
    let data = field("data");
    Event {
        kind: field("event"),
        id: field("id").parse().unwrap_or_default(),
        data: serde_json::from_str(&data).unwrap_or(Value::String(data)),
        place: bytes.as_ptr() as usize,
    }
}

#[tokio::test]
async fn events_go_on_from_the_last_one() {
    let node = Database::sqlite().start_kept().await;
    let door = Client::of(&node);
    // Line ends in a value are none of the stream's.
    door.json("PUT", "/keys/a", "{\"n\":\r\n\n1}").await;
    let mut events = Events::open(&door, "/watch", &[]).await;
    let first = events.next().await;
    assert_eq!((&*first.kind, &first.data["items"][0]["value"]), ("resync", &json!({"n": 1})));
    assert_eq!(first.data["revision"], first.id);
    assert!(events.ready().is_none(), "nothing has changed");
    drop(events);
    // Away in the meantime.
    for n in 2..10 {
        door.json("PUT", "/keys/a", &n.to_string()).await;
    }
    door.json("PUT", "/keys/b", "1").await;
    door.json("DELETE", "/keys/b", "").await;
    let last = format!("last-event-id: {}", first.id);
    // The header goes before the query, which is that of the first request.
    let mut events = Events::open(&door, "/watch?revision=0", &[&last]).await;
    let next = events.next().await;
    let items: Vec<_> =
        next.data["items"].as_array().unwrap().iter().map(|i| (&i["key"], &i["value"])).collect();
    assert_eq!((&*next.kind, items), ("change", vec![(&json!("a"), &json!(9)), (&json!("b"), &Value::Null)]));
    let by_query = Events::open(&door, &format!("/watch?revision={}", first.id), &[]).await.next().await;
    assert_eq!(by_query.data, next.data);
    door.json("PUT", "/keys/a", "10").await;
    assert_eq!(events.next().await.data["items"][0]["value"], 10);
    let refused = door.ask("GET", "/watch", &[EVENTS, "last-event-id: x"], "").await;
    assert_eq!(refused.status, 400);
    node.stop().await;
}

#[tokio::test]
async fn a_purged_key_is_told_as_deleted_and_after_that_is_forgotten_all_is_told_anew() {
    let node = Database::sqlite().start_kept().await;
    let door = Client::of(&node);
    door.json("PUT", "/keys/a", "1").await;
    door.json("PUT", "/keys/b", "1").await;
    let mut events = Events::open(&door, "/watch", &[]).await;
    let seen = events.next().await.id;
    node.handle.config_apply(vec![edit("a", Change::Purge)], author()).await.unwrap();
    let gone = events.next().await;
    assert_eq!(
        (&*gone.kind, &gone.data["items"][0]["key"], gone.data["items"][0].get("content_type")),
        ("change", &json!("a"), None)
    );
    // Written anew: a version of its own, told as any other.
    node.handle.config_apply(vec![edit("b", Change::Purge), set("b", "2")], author()).await.unwrap();
    let anew = events.next().await;
    assert_eq!((&anew.data["items"][0]["version"], &anew.data["items"][0]["value"]), (&json!(1), &json!(2)));
    let late = door.get(&format!("/watch?revision={seen}")).await.json();
    assert_eq!((&late["resync"], late["items"].as_array().unwrap().len()), (&json!(false), 2));
    node.stop().await;
}

/// Ten thousand that are slow: each of them is told the last value, they share its bytes, and nothing is kept for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_slow_readers_share_one_answer() {
    const MANY: usize = 10_000;
    let node = Database::sqlite().start_kept_with(Options { max_waiters: MANY, ..options() }).await;
    let door = Client::of(&node);
    let value = |n: usize| json!(format!("{n} {}", "x".repeat(10_000))).to_string();
    door.json("PUT", "/keys/w", &value(0)).await;
    let open = (0..MANY).map(|n| {
        let door = door.clone();
        // Each is an instance of its own; that makes no difference to what it is told.
        async move { Events::open(&door, &format!("/watch?instance=i-{n}"), &[]).await }
    });
    let mut watchers = join_all(open).await;
    let places = |events: &[Option<Event>]| -> HashSet<usize> {
        events.iter().map(|event| event.as_ref().unwrap().place).collect()
    };
    let first: Vec<_> = watchers.iter_mut().map(Events::ready).collect();
    assert_eq!((places(&first).len(), node.handle.answers_made()), (1, 1), "made once, and shared");
    drop(first);
    assert!(watchers.iter_mut().all(|watcher| watcher.ready().is_none()));
    assert_eq!(node.handle.waiting(), MANY);
    let one_more = format!("/watch?revision={}", node.handle.revision());
    let refused = Events::open(&door, &one_more, &[]).await.next().await;
    let is_told = refused.kind == "error" && refused.data.to_string().contains("TRL1014");
    assert!(is_told, "{refused:?}");
    // They read nothing while much is written.
    for n in 1..=50 {
        door.json("PUT", "/keys/w", &value(n)).await;
    }
    let made = node.handle.answers_made();
    let last: Vec<_> = watchers.iter_mut().map(Events::ready).collect();
    assert_eq!((places(&last).len(), node.handle.answers_made() - made), (1, 1), "one answer for all");
    let told = last[MANY - 1].as_ref().unwrap();
    let text = told.data["items"][0]["value"].as_str().unwrap();
    assert!(text.starts_with("50 ") && told.data["items"].as_array().unwrap().len() == 1);
    assert!(watchers.iter_mut().all(|watcher| watcher.ready().is_none()), "and no backlog");
    drop(watchers);
    assert_eq!(node.handle.waiting(), 0);
    node.stop().await;
}

/// Instances that get a candidate and those that do not are told two things, and no more than two.
#[tokio::test]
async fn who_gets_a_candidate_is_told_another_answer() {
    let node = Database::sqlite().start_kept().await;
    let door = Client::of(&node);
    door.json("PUT", "/keys/flag", "1").await;
    let gray = r#"{"value": 2, "rule": {"when": "labels.zone == 'b'"}}"#;
    assert_eq!(door.ask("PUT", "/gray/flag", &[JSON], gray).await.status, 200);
    let made = node.handle.answers_made();
    for n in 0..20 {
        let zone = if n % 2 == 0 { "a" } else { "b" };
        let answer = door.get(&format!("/watch?instance=i-{n}&labels=zone={zone}")).await.json();
        assert_eq!(answer["items"][0]["value"], n % 2 + 1);
    }
    assert_eq!(node.handle.answers_made() - made, 2);
    // Not among those that were kept: the one before a deletion.
    door.json("PUT", "/keys/other", "1").await;
    door.get("/watch").await;
    door.json("DELETE", "/keys/flag", "").await;
    let items = door.get("/watch").await.json()["items"].as_array().unwrap().len();
    assert_eq!(items, 1);
    node.stop().await;
}
