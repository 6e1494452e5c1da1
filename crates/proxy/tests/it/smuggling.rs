//! Requests that two readers could take apart in two ways. Each is refused, or read in one way and the connection closed
//! behind it; what hides in it never reaches a service.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{TestGateway, crude};

type Seen = Arc<Mutex<Vec<u8>>>;

/// A service that keeps every byte it gets and answers each request.
async fn recorder() -> (std::net::SocketAddr, Seen) {
    let seen = Seen::default();
    let keep = seen.clone();
    let address = crude(move |mut stream: TcpStream| {
        let keep = keep.clone();
        async move {
            let mut buffer = [0; 4096];
            loop {
                let read = stream.read(&mut buffer).await?;
                if read == 0 {
                    return Ok(());
                }
                let whole = {
                    let mut seen = keep.lock().expect("a lock");
                    seen.extend_from_slice(&buffer[..read]);
                    seen.ends_with(b"\r\n\r\n")
                };
                if whole {
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?;
                }
            }
        }
    })
    .await;
    (address, seen)
}

async fn refused(request: &str) {
    let (upstream, seen) = recorder().await;
    let gateway = TestGateway::to(&[upstream], "").await;
    let answer = gateway.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{request:?} got {answer:?}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "nothing after it is read: {answer:?}");
    assert_eq!(seen.lock().expect("a lock").len(), 0, "{request:?} reached the service");
}

#[tokio::test]
async fn forms_that_are_refused() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for head in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nX: 1\r\n Transfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\0Y: 1\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT other.example:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        refused(&format!("{head}{smuggled}")).await;
    }
}

#[tokio::test]
async fn a_body_with_two_ends_is_read_in_one_way_and_nothing_after_it() {
    for lengths in
        ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"]
    {
        let (upstream, seen) = recorder().await;
        let gateway = TestGateway::to(&[upstream], "").await;
        let request = format!(
            "POST /first HTTP/1.1\r\nHost: a\r\n{lengths}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let answer = gateway.raw(request.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lengths}: {answer:?}");
        let seen = String::from_utf8_lossy(&seen.lock().expect("a lock")).to_ascii_lowercase();
        assert!(!seen.contains("/smuggled"), "{lengths}: {seen}");
        assert!(!seen.contains("content-length") || !seen.contains("transfer-encoding"), "{lengths}: {seen}");
    }
}

#[tokio::test]
async fn broken_chunks_break_the_request() {
    for chunks in [
        "5\r\nhelloX\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nx",
        "5\nhello\n0\n\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
    ] {
        let (upstream, seen) = recorder().await;
        let gateway = TestGateway::to(&[upstream], "[gateway]\ntimeout = '200ms'").await;
        let request = format!(
            "POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let answer = gateway.raw(request.as_bytes()).await;
        assert!(!answer.contains(" 200 "), "{chunks:?}: {answer:?}");
        let seen = String::from_utf8_lossy(&seen.lock().expect("a lock")).into_owned();
        assert!(!seen.contains("GET /smuggled"), "{chunks:?}: {seen}");
    }
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let (upstream, seen) = recorder().await;
    let gateway = TestGateway::to(&[upstream], "[gateway]\nmax_header_bytes = 8192").await;
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(9000));
    let answer = gateway.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    assert_eq!(seen.lock().expect("a lock").len(), 0);
}
