use std::io::Read;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use flate2::read::GzDecoder;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use crate::support::{TestGateway, service, soon};

const GZIP: &str = "[gateway.compression]\nalgorithms = ['gzip']";

async fn open(gateway: &TestGateway, method: &str, path: &str) -> Response<Incoming> {
    let request = Request::builder().method(method).uri(path).header("accept-encoding", "gzip, br;q=0.5");
    gateway.open(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn answers_are_compressed_for_who_takes_it() {
    let text = "all work and no play makes jack a dull boy\n".repeat(1000);
    let sent = text.clone();
    let upstream =
        service(Router::new().route("/", get(async move || sent.clone())).route("/short", get(async || "x")))
            .await;
    let gateway = TestGateway::to(&[upstream], GZIP).await;
    let response = open(&gateway, "GET", "/").await;
    let headers = response.headers().clone();
    assert_eq!(
        (&headers["content-encoding"], &headers["vary"]),
        (&"gzip".parse().unwrap(), &"accept-encoding".parse().unwrap())
    );
    assert!(!headers.contains_key("content-length"));
    let body = soon(response.into_body().collect()).await.unwrap().to_bytes();
    let mut plain = String::new();
    GzDecoder::new(&*body).read_to_string(&mut plain).unwrap();
    assert!(plain == text && body.len() < text.len() / 10);
    for (method, path) in [("HEAD", "/"), ("GET", "/short")] {
        assert!(
            !open(&gateway, method, path).await.headers().contains_key("content-encoding"),
            "{method} {path}"
        );
    }
    let plain = gateway.get("/").await;
    assert_eq!((plain.text == text, plain.header("content-encoding")), (true, None));
}

#[tokio::test]
async fn events_are_not_held_up() {
    let (feed, events) = mpsc::channel::<&'static str>(1);
    let events = Arc::new(Mutex::new(Some(events)));
    let upstream = service(Router::new().fallback(move || {
        let events = events.lock().unwrap().take().expect("one request");
        let chunks = stream::unfold(events, async |mut events| {
            Some((Ok::<_, std::io::Error>(Bytes::from(events.recv().await?)), events))
        });
        std::future::ready(([("content-type", "text/event-stream")], Body::from_stream(chunks)))
    }))
    .await;
    let gateway = TestGateway::to(&[upstream], &format!("{GZIP}\ntypes = ['text/event-stream']")).await;
    let request = open(&gateway, "GET", "/");
    let (response, fed) = tokio::join!(request, feed.send("data: 1\n\n"));
    fed.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let (mut body, mut compressed) = (response.into_body(), Vec::new());
    for (next, so_far) in [("data: 2\n\n", "data: 1\n\n"), ("data: 3\n\n", "data: 1\n\ndata: 2\n\n")] {
        // The next one is not sent before this one has come, all of it.
        let plain = loop {
            let mut plain = vec![0; so_far.len()];
            if GzDecoder::new(&*compressed).read_exact(&mut plain).is_ok() {
                break plain;
            }
            compressed.extend(soon(body.frame()).await.unwrap().unwrap().into_data().unwrap());
        };
        assert_eq!(plain, so_far.as_bytes());
        feed.send(next).await.unwrap();
    }
}
