use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode, Uri};

use crate::support::{TestGateway, echo, until};

type Seen = Arc<Mutex<Vec<(Method, String, HeaderMap, String)>>>;

/// A service that writes down what it gets and never answers.
async fn witness() -> (std::net::SocketAddr, Seen) {
    let seen = Seen::default();
    let notes = seen.clone();
    let router =
        Router::new().fallback(async move |method: Method, uri: Uri, headers: HeaderMap, body: String| {
            notes.lock().expect("a lock").push((method, uri.to_string(), headers, body));
            std::future::pending::<()>().await;
        });
    (crate::support::service(router).await, seen)
}

async fn gateway(mirror: &str) -> (TestGateway, Seen) {
    let gateway = TestGateway::start(&format!(
        "[gateway]\nworkers = 1\n[[route]]\npath = '/a/**'\nservice = 's'\nrewrite = '/b/**'\nmirror = {{ service = 'm', {mirror} }}"
    ))
    .await;
    let (address, seen) = witness().await;
    gateway.registry.set("s", &[echo().await]);
    gateway.registry.set("m", &[address]);
    (gateway, seen)
}

#[tokio::test]
async fn copies_are_sent_and_nobody_waits_for_them() {
    let (gateway, seen) = gateway("max_body_bytes = 10").await;
    for body in ["", "hello", "more than ten bytes"] {
        let request = Request::post("/a/1?q=2").header("x-mine", "yes").body(Body::from(body)).unwrap();
        let answer = gateway.send(request).await;
        assert_eq!((answer.status, &answer.json()["body"]), (StatusCode::OK, &body.into()));
    }
    // One of unknown length.
    let pieces = futures_util::stream::iter(["ab", "cd"].map(Ok::<_, std::io::Error>));
    gateway
        .send(Request::post("/a/1?q=2").header("x-mine", "yes").body(Body::from_stream(pieces)).unwrap())
        .await;
    until(async || seen.lock().unwrap().len() == 3).await;
    let mut bodies = Vec::new();
    for (method, target, headers, body) in &*seen.lock().unwrap() {
        assert_eq!((method, target.as_str()), (&Method::POST, "/b/1?q=2"));
        assert_eq!(
            (&headers["x-trellis-mirror"], &headers["x-mine"]),
            (&"1".parse().unwrap(), &"yes".parse().unwrap())
        );
        bodies.push(body.clone());
    }
    bodies.sort();
    assert_eq!(bodies, ["", "abcd", "hello"]);
    let metrics = gateway.handle.metrics();
    assert!(metrics.contains("trellis_limited_total{limit=\"mirror\"} 1"), "{metrics}");
}

#[tokio::test]
async fn too_many_copies_are_dropped() {
    let (gateway, seen) = gateway("share = 1.0").await;
    for _ in 0..100 {
        assert_eq!(gateway.get("/a/1").await.status, StatusCode::OK);
    }
    until(async || seen.lock().unwrap().len() == 64).await;
    let metrics = gateway.handle.metrics();
    assert!(metrics.contains("trellis_limited_total{limit=\"mirror\"} 36"), "{metrics}");
}

#[tokio::test]
async fn a_share_of_none_copies_none() {
    let (gateway, seen) = gateway("share = 0.0").await;
    for _ in 0..20 {
        gateway.get("/a/1").await;
    }
    assert!(seen.lock().unwrap().is_empty());
}
