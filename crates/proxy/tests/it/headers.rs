use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{Request, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{TestGateway, echo, got, service, soon};

async fn echoed(headers: &[(&str, &str)]) -> (TestGateway, Value, String) {
    let upstream = echo().await;
    let gateway = TestGateway::to(&[upstream], "").await;
    let mut request = Request::get("/x");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = gateway.send(request.body(Body::empty()).expect("a request")).await;
    (gateway, answer.json(), answer.header("x-request-id").unwrap_or_default().to_owned())
}

#[tokio::test]
async fn headers_of_one_connection_stay_on_it() {
    let (_gateway, echoed, _) = echoed(&[
        ("connection", "keep-alive, X-Private"),
        ("x-private", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "Basic abc"),
        ("te", "trailers"),
        ("x-public", "1"),
        ("authorization", "Bearer token"),
        ("expect", "100-continue"),
    ])
    .await;
    for gone in ["connection", "x-private", "keep-alive", "proxy-authorization", "te", "expect"] {
        assert_eq!(got(&echoed, gone), Vec::<&str>::new(), "{gone}");
    }
    for (kept, value) in [("x-public", "1"), ("authorization", "Bearer token")] {
        assert_eq!(got(&echoed, kept), [value], "{kept}");
    }
}

#[tokio::test]
async fn a_client_cannot_strip_what_the_gateway_says() {
    let (_gateway, echoed, id) =
        echoed(&[("connection", "x-request-id, x-forwarded-for, traceparent, host")]).await;
    assert_eq!(got(&echoed, "x-request-id"), [id.as_str()]);
    assert_eq!(got(&echoed, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(got(&echoed, "traceparent").len(), 1);
    assert_eq!(got(&echoed, "host").len(), 1);
}

#[tokio::test]
async fn services_learn_who_asked_and_for_what() {
    let (gateway, echoed, _) = echoed(&[
        ("host", "shop.example:8080"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
    ])
    .await;
    assert_eq!(got(&echoed, "x-forwarded-for"), ["192.0.2.7, 127.0.0.1"]);
    assert_eq!(got(&echoed, "x-forwarded-proto"), ["http"]);
    assert_eq!(got(&echoed, "x-forwarded-host"), ["shop.example:8080"]);
    let host = got(&echoed, "host");
    assert!(
        host.len() == 1 && host[0].starts_with("127.0.0.1:") && host[0] != gateway.address.to_string(),
        "{host:?}"
    );
}

#[tokio::test]
async fn a_request_id_is_kept_if_it_is_sane() {
    for (given, kept) in
        [("order-7", true), ("", false), ("two words", false), (&"x".repeat(129), false), ("é", false)]
    {
        let (_gateway, echoed, id) = echoed(&[("x-request-id", given)]).await;
        assert_eq!(got(&echoed, "x-request-id"), [id.as_str()], "the service and the client see the same");
        assert_eq!(id == given, kept, "{given:?} became {id:?}");
        assert!(kept || uuid::Uuid::parse_str(&id).is_ok_and(|id| id.get_version_num() == 7), "{id:?}");
    }
    let (_gateway, _, id) = echoed(&[("x-request-id", "a"), ("x-request-id", "b")]).await;
    assert!(uuid::Uuid::parse_str(&id).is_ok());
}

#[tokio::test]
async fn traces_go_on() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let (_gateway, first, _) = echoed(&[("traceparent", parent), ("tracestate", "vendor=1")]).await;
    let child = got(&first, "traceparent")[0].to_owned();
    assert!(child.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && child.ends_with("-00"), "{child}");
    assert!(!child.contains("b7ad6b7169203331"), "the gateway is a span of its own");
    assert_eq!(got(&first, "tracestate"), ["vendor=1"]);

    let (_gateway, second, _) = echoed(&[("traceparent", "00-nonsense"), ("tracestate", "vendor=1")]).await;
    let root: trellis_core::TraceContext = got(&second, "traceparent")[0].parse().unwrap();
    assert!(root.sampled);
    assert_eq!(got(&second, "tracestate"), Vec::<&str>::new(), "state without its trace is meaningless");
}

#[tokio::test]
async fn the_deadline_shrinks() {
    let allowed = |echoed: &Value| got(echoed, "trellis-timeout-ms")[0].parse::<u64>().unwrap();
    let (_gateway, default, _) = echoed(&[]).await;
    assert!((25_000..=30_020).contains(&allowed(&default)));
    let (_gateway, own, _) = echoed(&[("trellis-timeout-ms", "9000")]).await;
    assert!((5000..=9020).contains(&allowed(&own)));
    let (_gateway, greedy, _) = echoed(&[("trellis-timeout-ms", "900000000")]).await;
    assert!(allowed(&greedy) <= 30_020);
    let (_gateway, odd, _) = echoed(&[("trellis-timeout-ms", "soon")]).await;
    assert!(allowed(&odd) <= 30_020);
}

#[tokio::test]
async fn answers_are_cleaned_too() {
    let headers = [
        ("connection", "x-private"),
        ("x-private", "1"),
        ("keep-alive", "timeout=5"),
        ("x-public", "1"),
        ("x-request-id", "of the service"),
    ];
    let upstream = service(
        Router::new()
            .route("/", get(async move || (StatusCode::IM_A_TEAPOT, headers, "short").into_response())),
    )
    .await;
    let gateway = TestGateway::to(&[upstream], "").await;
    let answer =
        gateway.send(Request::get("/").header("x-request-id", "mine").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.text.as_str(), answer.whole), (StatusCode::IM_A_TEAPOT, "short", true));
    assert_eq!((answer.header("x-public"), answer.header("x-request-id")), (Some("1"), Some("mine")));
    assert_eq!((answer.header("x-private"), answer.header("keep-alive")), (None, None));
}

#[tokio::test]
async fn cookies_that_http2_split_are_one_again() {
    let upstream = echo().await;
    let gateway = TestGateway::to(&[upstream], "").await;
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://shop.example/x").header("cookie", "a=1").header("cookie", "b=2");
    let response = soon(sender.send_request(request.body(Body::empty()).unwrap())).await.unwrap();
    let echoed = crate::support::Answer::read(response).await.json();
    assert_eq!(got(&echoed, "cookie"), ["a=1; b=2"]);
    assert_eq!(got(&echoed, "x-forwarded-host"), ["shop.example"]);
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_it() {
    let upstream = echo().await;
    let gateway = TestGateway::to(&[upstream], "").await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    soon(stream.read_exact(&mut interim)).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    let mut rest = String::new();
    soon(stream.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.starts_with("HTTP/1.1 200 ") && rest.contains(r#""body":"hello""#), "{rest}");
}
