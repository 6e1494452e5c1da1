use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;
use trellis_core::codes;
use trellis_net::client::Protocol;
use trellis_net::{Body, Pool, PoolOptions, ReadOn, ServeOptions, bind};

use crate::support::{cluster, eventually, head, request, say, server, text};

const LONG: Duration = Duration::from_secs(10);
/// Part of what a client or a service does, not something that is waited for.
const PAUSE: Duration = Duration::from_millis(5);

#[tokio::test]
async fn a_taken_port_names_its_setting() {
    let taken = server(ServeOptions::default(), async |_| Response::new(Body::empty())).await;
    let error = bind("gateway.listen", taken.address).await.unwrap_err();
    assert_eq!(error.code(), codes::CANNOT_LISTEN);
    assert!(
        error.detail().contains("gateway.listen") && error.detail().contains(&taken.address.to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn a_running_request_is_finished_at_shutdown() {
    let (entered_tx, mut entered) = mpsc::channel(1);
    let (go, gate) = oneshot::channel::<()>();
    let gate = std::sync::Arc::new(tokio::sync::Mutex::new(Some(gate)));
    let server = server(ServeOptions::default(), move |_| {
        let (entered, gate) = (entered_tx.clone(), gate.clone());
        async move {
            entered.send(()).await.unwrap();
            gate.lock().await.take().unwrap().await.unwrap();
            Response::new(Body::from("finished"))
        }
    })
    .await;
    let cluster = cluster(&[server.address]);
    let running = tokio::spawn(async move { cluster.call(request(Method::GET, "/"), LONG).await });
    entered.recv().await.unwrap();
    server.shutdown.trigger();
    // The listener is gone before the request is.
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.done.is_finished());
    go.send(()).unwrap();
    assert_eq!(text(running.await.unwrap().unwrap().response).await, "finished");
    server.done.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_streams_of_one_connection_have_to_say_arrives_whole() {
    const STREAMS: usize = 100;
    const PIECES: [usize; 7] = [1, 300, 5_000, 40_000, 2, 70_000, 7];
    let piece = |n: usize| Bytes::from(vec![n as u8; PIECES[n]]);
    let (news, _) = broadcast::channel(PIECES.len());
    let told = news.clone();
    let server = server(ServeOptions::default(), move |_| {
        let told = told.subscribe();
        async move {
            let frames = futures_util::stream::unfold(told, move |mut told| async move {
                let frame = Frame::data(piece(told.recv().await.ok()?));
                Some((Ok::<_, Infallible>(frame), told))
            });
            Response::new(Body::new(StreamBody::new(frames)))
        }
    })
    .await;
    let one = PoolOptions { protocol: Protocol::Http2, max_multiplexed: 1, ..PoolOptions::default() };
    let pool = Pool::new(server.address.to_string().into(), Arc::new(one));
    let mut readers = JoinSet::new();
    for _ in 0..STREAMS {
        let mut body = pool.ask(request(Method::GET, "http://svc/")).await.unwrap().into_body();
        readers.spawn(async move {
            let mut read = Vec::new();
            while read.len() < PIECES.iter().sum() {
                read.extend(body.frame().await.unwrap().unwrap().into_data().unwrap());
            }
            read
        });
    }
    for n in 0..PIECES.len() {
        assert_eq!(news.send(n).unwrap(), STREAMS);
    }
    let expected: Vec<u8> = (0..PIECES.len()).flat_map(piece).collect();
    while let Some(read) = readers.join_next().await {
        assert!(read.unwrap() == expected);
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let options = ServeOptions { header_timeout: Duration::from_millis(50), ..ServeOptions::default() };
    let server = server(options, async |_| Response::new(Body::empty())).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    say(&mut slow, "GET / HTTP/1.1\r\nhost: x\r\n").await;
    // Ends when the server closes; without the bound it would not.
    assert!(tokio::time::timeout(LONG, async { while head(&mut slow).await.is_some() {} }).await.is_ok());
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let options = ServeOptions { max_header_bytes: 8192, ..ServeOptions::default() };
    let server = server(options, async |_| Response::new(Body::empty())).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    say(&mut stream, &format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(20_000))).await;
    assert!(head(&mut stream).await.is_some_and(|h| h.starts_with("HTTP/1.1 431")));
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_for_its_turn() {
    let options = ServeOptions { max_connections: 1, ..ServeOptions::default() };
    let server = server(options, async |_| Response::new(Body::from("ok"))).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    say(&mut first, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(head(&mut first).await.is_some());
    let mut second = TcpStream::connect(server.address).await.unwrap();
    say(&mut second, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(tokio::time::timeout(Duration::from_millis(100), head(&mut second)).await.is_err());
    drop(first);
    assert!(tokio::time::timeout(LONG, head(&mut second)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_request_on_a_quiet_connection_is_answered_while_we_stop_and_is_the_last() {
    let options = ServeOptions { linger: LONG, ..ServeOptions::default() };
    let server = server(options, async |_| Response::new(Body::from("ok"))).await;
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    say(&mut kept, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(head(&mut kept).await.is_some_and(|head| !head.contains("connection: close")));
    let mut body = [0; 2];
    kept.read_exact(&mut body).await.unwrap();
    server.shutdown.trigger();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    say(&mut kept, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(head(&mut kept).await.is_some_and(|head| head.contains("connection: close")));
    server.done.await.unwrap();
}

#[tokio::test]
async fn a_connection_goes_on_after_it_was_quiet() {
    let options = ServeOptions { park_after: Duration::ZERO, ..ServeOptions::default() };
    let server = server(options, async |request: Request<Body>| Response::new(request.into_body())).await;
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    // Each head and body comes in pieces, with silence between and within requests.
    for number in 0..5 {
        say(&mut kept, "POST / HTTP/1.1\r\nho").await;
        tokio::time::sleep(PAUSE).await;
        say(&mut kept, "st: x\r\ncontent-length: 2\r\n\r\n1").await;
        tokio::time::sleep(PAUSE).await;
        say(&mut kept, &number.to_string()).await;
        assert!(head(&mut kept).await.is_some_and(|head| head.starts_with("HTTP/1.1 200")));
        let mut body = [0; 2];
        kept.read_exact(&mut body).await.unwrap();
        assert_eq!(body, [b'1', b'0' + number]);
        tokio::time::sleep(PAUSE).await;
    }
    // Two at once are two answers.
    say(&mut kept, &"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2)).await;
    for _ in 0..2 {
        assert!(head(&mut kept).await.is_some_and(|head| head.contains("content-length: 0")));
    }
}

#[tokio::test]
async fn a_quiet_connection_lets_go_of_all_that_only_requests_need() {
    let (park_after, counted) = (Duration::from_millis(1), std::sync::Arc::new(()));
    let options = ServeOptions { park_after, ..ServeOptions::default() };
    let kept = counted.clone();
    let server = server(options, move |_| {
        assert!(std::sync::Arc::strong_count(&kept) > 1);
        async { Response::new(Body::from("ok")) }
    })
    .await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // Half a request keeps the parser, which has the handler.
    say(&mut stream, "GET / HTTP/1.1\r\n").await;
    eventually("a connection is served", async || std::sync::Arc::strong_count(&counted) == 4).await;
    say(&mut stream, "host: x\r\n\r\n").await;
    assert!(head(&mut stream).await.is_some());
    eventually("it has let go", async || std::sync::Arc::strong_count(&counted) == 3).await;
}

#[tokio::test]
async fn a_slow_answer_is_not_silence() {
    let options = ServeOptions { park_after: Duration::ZERO, ..ServeOptions::default() };
    let server = server(options, async |_| {
        let parts = futures_util::stream::unfold(0, async |part| {
            tokio::time::sleep(PAUSE).await;
            (part < 5).then(|| (Ok::<_, trellis_net::BoxError>(Frame::data("x".into())), part + 1))
        });
        Response::new(Body::new(StreamBody::new(parts)))
    })
    .await;
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    say(&mut kept, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let mut answer = String::new();
    kept.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with(&format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(5))), "{answer}");
}

#[tokio::test]
async fn a_quiet_connection_ends_with_its_patience_and_with_the_server() {
    let quick = Duration::from_millis(20);
    for (idle_timeout, stop) in [(quick, false), (LONG * 10, true)] {
        let options = ServeOptions {
            park_after: Duration::ZERO,
            idle_timeout,
            linger: quick,
            ..ServeOptions::default()
        };
        let server = server(options, async |_| Response::new(Body::empty())).await;
        let mut kept = TcpStream::connect(server.address).await.unwrap();
        say(&mut kept, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(head(&mut kept).await.is_some());
        if stop {
            server.shutdown.trigger();
        }
        let ended = tokio::time::timeout(LONG, kept.read(&mut [0])).await;
        assert_eq!(ended.expect("closed in time").unwrap(), 0);
    }
}

#[tokio::test]
async fn a_body_that_nobody_wants_is_read_on_as_far_as_it_may_be() {
    // More than a connection reads ahead.
    const LENGTH: usize = 2_000_000;
    let of = |max_bytes| ReadOn { max_bytes, timeout: LONG };
    for (read_on, goes_on) in [
        (ReadOn::default(), true),
        (of(LENGTH as u64 + 1), true),
        (of(LENGTH as u64 / 2), false),
        (of(0), false),
        (ReadOn { timeout: Duration::ZERO, ..ReadOn::default() }, false),
    ] {
        let options = ServeOptions { read_on, ..ServeOptions::default() };
        let server = server(options, async |_| Response::new(Body::empty())).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        say(&mut stream, &format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {LENGTH}\r\n\r\n")).await;
        assert!(head(&mut stream).await.is_some(), "{read_on:?}");
        let rest = format!("{}GET / HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(LENGTH));
        // Where it is not read, the connection is closed upon the client.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, rest.as_bytes()).await;
        assert_eq!(head(&mut stream).await.is_some(), goes_on, "{read_on:?}");
    }
}

#[tokio::test]
async fn a_malformed_request_of_http2_is_reset_and_the_connection_goes_on() {
    let server = server(ServeOptions::default(), async |_| Response::new(Body::empty())).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut ask = async |name: &'static str, value: &'static str| {
        let request = http::Request::get("http://shop.example/").header(name, value).body(()).unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        answer.await.map(|answer| answer.status().as_u16()).map_err(|error| error.reason())
    };
    for (name, value) in [("x-a", " b"), ("x-a", "b\t"), ("host", "other.example")] {
        assert_eq!(ask(name, value).await, Err(Some(h2::Reason::PROTOCOL_ERROR)), "{name}: {value:?}");
        assert_eq!(ask("host", "shop.example").await, Ok(200));
    }
    connection.abort();
}
