use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use http::{Request, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{TestGateway, crude, echo, nobody, read_head, service, until};

/// A service that takes requests and says nothing, or closes on its word.
async fn silent() -> std::net::SocketAddr {
    crude(async |mut stream: TcpStream| {
        read_head(&mut stream).await?;
        std::future::pending().await
    })
    .await
}

#[tokio::test]
async fn a_service_without_instances() {
    let gateway = TestGateway::to(&[], "").await;
    let answer = gateway.get("/").await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("1")));
    assert_eq!(answer.problem("TRL1003")["service"], "s");
    // As soon as there is one, it is used.
    gateway.registry.set("s", &[echo().await]);
    assert_eq!(gateway.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_instance_that_is_gone_is_passed_over() {
    let (dead, alive) = (nobody().await, echo().await);
    let gateway = TestGateway::to(&[dead, alive], "[gateway]\nbreaker.failures = 100").await;
    for _ in 0..20 {
        let answer = gateway.send(Request::post("/").body(Body::from("x")).unwrap()).await;
        assert_eq!((answer.status, &answer.json()["body"]), (StatusCode::OK, &"x".into()));
    }
    gateway.registry.set("s", &[dead]);
    let answer = gateway.get("/").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    answer.problem("TRL1005");
}

#[tokio::test]
async fn a_service_that_does_not_answer_in_time() {
    let gateway = TestGateway::to(&[silent().await], "[gateway]\ntimeout = '50ms'").await;
    let answer = gateway.get("/").await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::GATEWAY_TIMEOUT, None));
    assert_eq!(answer.problem("TRL1006")["detail"], "s did not answer in time");
}

#[tokio::test]
async fn a_client_with_less_patience_is_told_so() {
    let gateway = TestGateway::to(&[silent().await], "").await;
    for patience in ["0", "20"] {
        let request = Request::get("/").header("trellis-timeout-ms", patience).body(Body::empty()).unwrap();
        let answer = gateway.send(request).await;
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
        answer.problem("TRL1012");
    }
}

#[tokio::test]
async fn a_client_that_does_not_send_its_body_is_to_blame_itself() {
    let gateway = TestGateway::to(&[echo().await], "[gateway]\ntimeout = '50ms'\nbreaker.failures = 1").await;
    let answer = gateway.raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("TRL1015"), "{answer}");
    assert_eq!(gateway.get("/").await.status, StatusCode::OK, "the breaker is closed");
}

#[tokio::test]
async fn impatient_clients_do_not_open_the_breaker() {
    let ready = Arc::new(AtomicBool::new(false));
    let answers = ready.clone();
    let upstream = service(Router::new().fallback(async move || {
        while !answers.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    }))
    .await;
    let gateway = TestGateway::to(&[upstream], "[gateway]\nbreaker.failures = 1").await;
    for _ in 0..3 {
        let request = Request::get("/").header("trellis-timeout-ms", "1").body(Body::empty()).unwrap();
        gateway.send(request).await.problem("TRL1012");
    }
    ready.store(true, Ordering::SeqCst);
    assert_eq!(gateway.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_breaker_opens_and_recovers() {
    let (works, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (answers, count) = (works.clone(), asked.clone());
    let upstream = crude(move |mut stream: TcpStream| {
        let (answers, count) = (answers.clone(), count.clone());
        async move {
            read_head(&mut stream).await?;
            count.fetch_add(1, Ordering::SeqCst);
            if answers.load(Ordering::SeqCst) {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    .await?;
            }
            Ok(())
        }
    })
    .await;
    let settings = "[gateway.breaker]\nfailures = 3\nopen_for = '300ms'\nsuccesses = 2";
    let gateway = TestGateway::to(&[upstream], settings).await;
    for _ in 0..3 {
        let answer = gateway.get("/").await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        answer.problem("TRL1007");
    }
    // Whether or not some time passes here, an open breaker asks nobody.
    let before = asked.load(Ordering::SeqCst);
    let answer = gateway.get("/").await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("1")));
    answer.problem("TRL1004");
    assert_eq!(asked.load(Ordering::SeqCst), before);

    works.store(true, Ordering::SeqCst);
    until(async || gateway.get("/").await.status == StatusCode::OK).await;
    for _ in 0..5 {
        assert_eq!(gateway.get("/").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn answers_that_are_not_http() {
    for (says, code) in [
        ("what?\r\n\r\n", "TRL1008"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "TRL1008"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "TRL1008"),
        ("", "TRL1007"),
        ("HTTP/1.1 2", "TRL1007"),
    ] {
        let upstream = crude(move |mut stream: TcpStream| async move {
            read_head(&mut stream).await?;
            stream.write_all(says.as_bytes()).await
        })
        .await;
        let gateway = TestGateway::to(&[upstream], "").await;
        let answer = gateway.get("/").await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{says:?}");
        answer.problem(code);
    }
}

#[tokio::test]
async fn an_error_of_the_service_is_passed_on_as_it_is() {
    let router =
        Router::new().route("/", any(async || (StatusCode::INTERNAL_SERVER_ERROR, [("x-a", "b")], "oh")));
    let gateway = TestGateway::to(&[service(router).await], "").await;
    let answer = gateway.get("/").await;
    assert_eq!(
        (answer.status, answer.header("x-a"), answer.text.as_str()),
        (StatusCode::INTERNAL_SERVER_ERROR, Some("b"), "oh")
    );
    assert_eq!(gateway.handle.stats().outcomes["5xx"], 1);
}

#[tokio::test]
async fn too_many_requests_at_once_are_refused() {
    let upstream =
        service(Router::new().route("/fast", get(async || "ok")).fallback(std::future::pending::<()>)).await;
    let gateway = TestGateway::to(&[upstream], "[gateway]\nmax_requests = 2").await;
    let slow = |gateway: &TestGateway| {
        tokio::spawn({
            let address = gateway.address;
            async move {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await?;
                std::future::pending::<std::io::Result<()>>().await
            }
        })
    };
    let (one, two) = (slow(&gateway), slow(&gateway));
    until(async || gateway.handle.stats().in_flight == 2).await;
    let answer = gateway.get("/fast").await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("1")));
    answer.problem("TRL1014");
    one.abort();
    until(async || gateway.handle.stats().in_flight == 1).await;
    assert_eq!(gateway.get("/fast").await.status, StatusCode::OK);
    two.abort();
}

#[tokio::test]
async fn a_change_of_protocol_is_refused() {
    let gateway = TestGateway::to(&[echo().await], "").await;
    let websocket = Request::get("/").header("connection", "upgrade").header("upgrade", "irc/6.9");
    let answer = gateway.send(websocket.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    answer.problem("TRL1010");
    // What curl sends when it would like to speak HTTP/2.
    let offer = Request::get("/").header("connection", "upgrade, http2-settings").header("upgrade", "h2c");
    assert_eq!(gateway.send(offer.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
}
