use std::net::SocketAddr;

use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use trellis_proxy::edge::websocket::accept;

use crate::support::{Answer, TestGateway, crude, echo, read_head, soon, until};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const PIECE: usize = 64 << 10;

/// A service that opens any `WebSocket` and sends every byte back.
async fn echoing() -> SocketAddr {
    crude(async |mut stream: TcpStream| {
        let head = read_head(&mut stream).await?;
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap_or_default();
        let accept = accept(&key.parse().expect("a key"));
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\nX-Service: yes\r\n\r\n",
            accept.to_str().expect("text"),
        );
        stream.write_all(answer.as_bytes()).await?;
        let (mut from, mut to) = stream.split();
        tokio::io::copy(&mut from, &mut to).await.map(drop)
    })
    .await
}

fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}

/// An open WebSocket over HTTP/1.1.
async fn open(gateway: &TestGateway) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.address).await.expect("a connection");
    stream.write_all(handshake("/chat").as_bytes()).await.expect("a write");
    let head = soon(read_head(&mut stream)).await.expect("a head").to_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("x-service: yes"), "{head}");
    let hash = accept(&KEY.parse().expect("a key"));
    assert!(
        head.contains(&format!("sec-websocket-accept: {}", hash.to_str().expect("text")).to_lowercase()),
        "{head}"
    );
    stream
}

/// A connection over HTTP/2 on which the gateway has said what it can do.
async fn http2(gateway: &TestGateway) -> SendRequest<Body> {
    let stream = TcpStream::connect(gateway.address).await.expect("a connection");
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    let first = Request::get("http://shop.example/none").body(Body::empty()).expect("a request");
    soon(sender.send_request(first)).await.expect("an answer");
    sender
}

async fn connect(sender: &mut SendRequest<Body>, path: &str) -> Response<Incoming> {
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://shop.example{path}"))
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static("websocket"));
    soon(sender.send_request(request.body(Body::empty()).expect("a request"))).await.expect("an answer")
}

/// Sends so many pieces while it reads them back.
async fn echoes(stream: impl AsyncRead + AsyncWrite, pieces: usize) {
    let (mut from, mut to) = tokio::io::split(stream);
    let piece = |number: usize| -> Vec<u8> { (0..PIECE).map(|at| (at / 7 + number) as u8).collect() };
    let send = async {
        for number in 0..pieces {
            to.write_all(&piece(number)).await.expect("a write");
        }
        to.flush().await.expect("a flush");
    };
    let read = async {
        let mut buffer = vec![0; PIECE];
        for number in 0..pieces {
            from.read_exact(&mut buffer).await.expect("a read");
            assert!(buffer == piece(number), "piece {number} is another");
        }
    };
    tokio::join!(send, read);
}

async fn chat(settings: &str) -> TestGateway {
    let gateway = TestGateway::start(&format!(
        "{settings}\n[[route]]\npath = '/chat'\nmethods = ['GET']\nservice = 's'"
    ))
    .await;
    gateway.registry.set("s", &[echoing().await]);
    gateway
}

#[tokio::test]
async fn much_goes_both_ways_over_http1() {
    let gateway = chat("").await;
    let mut stream = open(&gateway).await;
    soon(echoes(&mut stream, (64 << 20) / PIECE)).await;
    assert_eq!(gateway.handle.stats().in_flight, 1, "it is under way until it ends");
    drop(stream);
    until(async || gateway.handle.stats().in_flight == 0).await;
    assert_eq!(gateway.handle.stats().outcomes["1xx"], 1);
}

#[tokio::test]
async fn who_does_not_read_is_not_sent_more() {
    let gateway = chat("").await;
    let mut stream = open(&gateway).await;
    let piece = vec![0; 1 << 20];
    let mut sent = 0;
    while let Ok(written) =
        tokio::time::timeout(std::time::Duration::from_secs(1), stream.write(&piece)).await
    {
        sent += written.unwrap();
        assert!(sent < 64 << 20, "the gateway takes more than anybody reads");
    }
}

#[tokio::test]
async fn it_works_over_http2_as_well() {
    let gateway = chat("").await;
    let mut sender = http2(&gateway).await;
    let mut response = connect(&mut sender, "/chat").await;
    assert_eq!(
        (response.status(), &response.headers()["x-service"]),
        (StatusCode::OK, &"yes".parse().unwrap())
    );
    let upgraded = soon(hyper::upgrade::on(&mut response)).await.unwrap();
    let mut stream = TokioIo::new(upgraded);
    soon(echoes(&mut stream, (8 << 20) / PIECE)).await;
    // Others go on beside it.
    assert_eq!(
        soon(sender.send_request(Request::get("http://a/none").body(Body::empty()).unwrap()))
            .await
            .unwrap()
            .status(),
        404
    );
    drop(stream);
    until(async || gateway.handle.stats().in_flight == 0).await;
}

#[tokio::test]
async fn routes_may_open_none() {
    let gateway = TestGateway::start(
        "[[cluster]]\nname = 'two'\nprotocol = 'http2'\nendpoints = ['127.0.0.1:1']
         [[route]]\npath = '/no'\nservice = 's'\nwebsocket = false
         [[route]]\npath = '/two'\ncluster = 'two'
         [[route]]\npath = '/text'\nrespond = { body = 'x' }",
    )
    .await;
    gateway.registry.set("s", &[echoing().await]);
    let mut sender = http2(&gateway).await;
    for (path, status, code) in [
        ("/no", 400, "TRL1010"),
        ("/two", 501, "TRL1019"),
        ("/text", 400, "TRL1010"),
        ("/none", 404, "TRL1001"),
    ] {
        // What follows is not taken for another request.
        let answer =
            gateway.raw(format!("{}GET /text HTTP/1.1\r\nHost: a\r\n\r\n", handshake(path)).as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(code), "{answer}");
        assert!(
            answer.contains("connection: close") && answer.matches("x-request-id").count() == 1,
            "{answer}"
        );
        let answer = Answer::read(connect(&mut sender, path).await).await;
        assert_eq!(answer.status, status);
        answer.problem(code);
    }
}

#[tokio::test]
async fn a_service_may_decline_and_a_handshake_must_be_one() {
    let gateway = TestGateway::to(&[echo().await], "").await;
    let answer = gateway.raw(handshake("/").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"), "{answer}");
    // Over HTTP/2 that would be a yes.
    let mut sender = http2(&gateway).await;
    Answer::read(connect(&mut sender, "/").await).await.problem("TRL1008");
    let old = handshake("/").replace("Version: 13", "Version: 8");
    let answer = gateway.raw(old.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 426 ") && answer.contains("sec-websocket-version: 13"), "{answer}");
    let answer = gateway.raw(handshake("/").replace(KEY, "short").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("TRL1010"), "{answer}");
}

#[tokio::test]
async fn a_lie_about_the_handshake_is_not_passed_on() {
    let liar = crude(async |mut stream: TcpStream| {
        read_head(&mut stream).await?;
        let answer =
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
        stream.write_all(answer.as_bytes()).await
    })
    .await;
    let gateway = TestGateway::to(&[liar], "").await;
    let answer = gateway.raw(handshake("/").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("TRL1008"), "{answer}");
}

#[tokio::test]
async fn tunnels_have_the_drain_to_end() {
    let gateway = chat("").await;
    let mut stream = open(&gateway).await;
    gateway.begin_to_stop();
    until(async || TcpStream::connect(gateway.address).await.is_err()).await;
    soon(echoes(&mut stream, 4)).await;
    drop(stream);
    gateway.stop().await;
}

#[tokio::test]
async fn tunnels_that_do_not_end_are_cut() {
    for workers in [1, 2] {
        let gateway = chat(&format!("[gateway]\nworkers = {workers}\ndrain = '50ms'")).await;
        let mut stream = open(&gateway).await;
        let mut sender = http2(&gateway).await;
        let mut response = connect(&mut sender, "/chat").await;
        let over_http2 = soon(hyper::upgrade::on(&mut response)).await.unwrap();
        gateway.stop().await;
        let _ = soon(TokioIo::new(over_http2).read_to_end(&mut Vec::new())).await;
        let mut rest = Vec::new();
        // Reset or closed: it has ended.
        let _ = soon(stream.read_to_end(&mut rest)).await;
        assert!(rest.is_empty());
    }
}

#[tokio::test]
async fn one_that_is_open_takes_a_place() {
    let gateway = TestGateway::start("[[route]]\npath = '/chat'\nservice = 's'\nmax_requests = 1").await;
    gateway.registry.set("s", &[echoing().await]);
    let stream = open(&gateway).await;
    let answer = gateway.raw(handshake("/chat").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("TRL1014"), "{answer}");
    drop(stream);
    until(async || gateway.handle.stats().in_flight == 0).await;
    open(&gateway).await;
}
