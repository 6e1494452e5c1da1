use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::support::{Answer, TestGateway, crude, echo, read_head, service, soon};

/// A body that the test feeds.
fn fed() -> (mpsc::Sender<&'static str>, Body) {
    let (sender, receiver) = mpsc::channel::<&'static str>(1);
    let chunks = stream::unfold(receiver, async |mut receiver| {
        let chunk = receiver.recv().await?;
        Some((Ok::<_, std::io::Error>(Bytes::from(chunk)), receiver))
    });
    (sender, Body::from_stream(chunks))
}

#[tokio::test]
async fn bytes_pass_both_ways_before_the_last_is_sent() {
    // Answers each chunk as it comes.
    let upstream = service(Router::new().route("/", post(async |body: Body| body))).await;
    let gateway = TestGateway::to(&[upstream], "").await;
    let (feed, body) = fed();
    feed.send("one").await.unwrap();
    let response = gateway.open(Request::post("/").body(body).unwrap()).await;
    let mut answer = response.into_body();
    for (next, expected) in [(Some("two"), "one"), (Some("three"), "two"), (None, "three")] {
        let frame = soon(answer.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), expected);
        if let Some(next) = next {
            feed.send(next).await.unwrap();
        }
    }
    drop(feed);
    assert!(soon(answer.frame()).await.is_none());
}

#[tokio::test]
async fn a_service_that_does_not_read_holds_the_client_back() {
    let upstream = crude(async |mut stream: TcpStream| {
        read_head(&mut stream).await?;
        std::future::pending().await
    })
    .await;
    let gateway = TestGateway::to(&[upstream], "[gateway]\nmax_body_bytes = 1_000_000_000").await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n").await.unwrap();
    let chunk = vec![0; 1 << 20];
    let mut sent = 0;
    while let Ok(written) = tokio::time::timeout(Duration::from_secs(1), stream.write(&chunk)).await {
        sent += written.unwrap();
        assert!(sent < 100 << 20, "the gateway takes more than anybody reads");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    let upstream = echo().await;
    let gateway = TestGateway::to(&[upstream], "[gateway]\nmax_body_bytes = 10").await;
    let post = |length: usize| Request::post("/").body(Body::from("x".repeat(length))).unwrap();
    assert_eq!(gateway.send(post(10)).await.status, StatusCode::OK);
    for length in [11, 3_000_000] {
        let answer = gateway.send(post(length)).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answer.problem("TRL1009")["max_bytes"], 10);
    }
    // Whoever waits for leave to send gets the answer instead.
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n";
    let answer = gateway.raw(head).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_cut_off() {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let upstream = service(Router::new().route(
        "/",
        post(async move |body: Body| {
            let mut body = body.into_data_stream();
            while let Some(Ok(chunk)) = futures_util::StreamExt::next(&mut body).await {
                counter.fetch_add(chunk.len(), Ordering::SeqCst);
            }
        }),
    ))
    .await;
    let gateway = TestGateway::to(&[upstream], "[gateway]\nmax_body_bytes = 10").await;
    let chunks = (0..50).map(|_| Ok::<_, std::io::Error>("12345"));
    let answer =
        gateway.send(Request::post("/").body(Body::from_stream(stream::iter(chunks))).unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    answer.problem("TRL1009");
    assert!(read.load(Ordering::SeqCst) <= 10);
}

#[tokio::test]
async fn half_an_answer_never_looks_whole() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let upstream = crude(move |mut stream: TcpStream| async move {
            read_head(&mut stream).await?;
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n").as_bytes()).await
        })
        .await;
        let gateway = TestGateway::to(&[upstream], "").await;
        let answer = gateway.get("/").await;
        assert_eq!((answer.status, answer.whole), (StatusCode::OK, false), "{answer:?}");
        assert!(answer.text.contains("hello"));
        assert_eq!(gateway.handle.stats().outcomes["TRL1007"], 1);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_place() {
    let upstream = crude(async |mut stream: TcpStream| {
        read_head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await?;
        // Until the gateway lets go of this connection, too.
        stream.read_to_end(&mut Vec::new()).await?;
        Ok(())
    })
    .await;
    let gateway = TestGateway::to(&[upstream], "").await;
    let mut response = gateway.open(Request::get("/").body(Body::empty()).unwrap()).await;
    soon(response.body_mut().frame()).await.unwrap().unwrap();
    assert_eq!(gateway.handle.stats().in_flight, 1);
    drop(response);
    crate::support::until(async || gateway.handle.stats().in_flight == 0).await;
    assert_eq!(gateway.handle.stats().outcomes["client_gone"], 1);
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_is_complete() {
    let upstream = crude(async |mut stream: TcpStream| {
        read_head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await?;
        stream.read_to_end(&mut Vec::new()).await?;
        Ok(())
    })
    .await;
    let gateway = TestGateway::to(&[upstream], "").await;
    let (_feed, body) = fed();
    let answer = Answer::read(gateway.open(Request::post("/").body(body).unwrap()).await).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::FORBIDDEN, "no"));
}

#[tokio::test]
async fn a_client_that_is_still_sending_sees_the_refusal() {
    let gateway = TestGateway::start("[[route]]\npath = '/s'\nservice = 's'").await;
    for (path, code) in [("/nowhere", "TRL1001"), ("/s", "TRL1003")] {
        // More than the sockets' buffers hold, from a client that reads only when it has sent all.
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\nConnection: close\r\n\r\n"
        );
        let answer = gateway.raw(&[head.into_bytes(), vec![b'x'; 4_000_000]].concat()).await;
        assert!(answer.contains(code), "{answer}");
    }
}
