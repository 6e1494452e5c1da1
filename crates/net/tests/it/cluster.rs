use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{HeaderName, Method, Response};
use http_body_util::BodyExt;
use trellis_core::error::Retry;
use trellis_core::{codes, headers};
use trellis_net::client::Protocol;
use trellis_net::{Body, Cluster, ClusterOptions, ServeOptions};

use crate::support::{closed, cluster, endpoints, head, raw, request, say, server, text};

const LONG: Duration = Duration::from_secs(10);
const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test]
async fn a_connection_is_kept_and_the_deadline_is_sent_on() {
    let server = server(ServeOptions::default(), async |request| {
        let left: u64 = request.headers()[headers::TIMEOUT_MS].to_str().unwrap().parse().unwrap();
        assert!(left > 0 && left <= LONG.as_millis() as u64);
        Response::new(Body::from(format!("{} {}", request.method(), request.uri())))
    })
    .await;
    let cluster = cluster(&[server.address]);
    for _ in 0..3 {
        let answer = cluster.call(request(Method::GET, "http://ignored/a?b=c"), LONG).await.unwrap();
        assert_eq!(answer.instance.as_str(), "i-0");
        assert_eq!(text(answer.response).await, "GET /a?b=c");
        assert_eq!(cluster.idle_connections(), 1);
    }
}

#[tokio::test]
async fn a_call_of_grpc_says_te_and_keeps_its_own_deadline() {
    let server = server(ServeOptions::default(), async |request| {
        let header =
            |name| request.headers().get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
        Response::new(Body::from(format!("{} {}", header("te"), header("grpc-timeout"))))
    })
    .await;
    let mut options = ClusterOptions::default();
    options.pool.protocol = Protocol::Http2;
    let cluster = Cluster::new("svc".parse().unwrap(), &endpoints(&[server.address]), options);
    for (media_type, timeout, wanted) in [
        ("application/grpc", None, "trailers -"),
        ("application/grpc+proto", Some("90S"), "trailers 90S"),
        ("application/json", None, "- -"),
    ] {
        let mut call = request(Method::POST, "/");
        call.headers_mut().insert("content-type", media_type.parse().unwrap());
        call.headers_mut()
            .extend(timeout.map(|value| (HeaderName::from_static("grpc-timeout"), value.parse().unwrap())));
        assert_eq!(text(cluster.call(call, LONG).await.unwrap().response).await, wanted, "{media_type}");
    }
}

#[tokio::test]
async fn a_dead_instance_is_passed_over_whatever_the_method() {
    let server = server(ServeOptions::default(), async |r| Response::new(r.into_body())).await;
    let cluster = cluster(&[closed().await, closed().await, server.address]);
    for _ in 0..20 {
        let mut post = request(Method::POST, "/");
        *post.body_mut() = Body::from("kept");
        let answer = cluster.call(post, LONG).await.unwrap();
        assert_eq!(text(answer.response).await, "kept");
    }
}

#[tokio::test]
async fn an_open_breaker_says_when_to_come_back() {
    let cluster = cluster(&[closed().await]);
    let mut seen = Vec::new();
    for _ in 0..6 {
        let error = cluster.call(request(Method::GET, "/"), LONG).await.unwrap_err();
        assert!(!error.detail().contains("127.0.0.1"), "{error}");
        seen.push((error.code(), error.retry_advice()));
    }
    assert!(seen[..5].iter().all(|(code, _)| *code == codes::CONNECT_FAILED), "{seen:?}");
    assert!(
        matches!(seen[5], (codes::BREAKER_OPEN, Retry::After(wait)) if wait > Duration::from_secs(4)),
        "{seen:?}"
    );
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let error = cluster(&[]).call(request(Method::GET, "/"), LONG).await.unwrap_err();
    assert_eq!((error.code(), error.detail()), (codes::NO_ENDPOINT, "svc has no healthy instance"));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_timeout() {
    let silent = raw(async |mut stream| while head(&mut stream).await.is_some() {}).await;
    let error =
        cluster(&[silent]).call(request(Method::GET, "/"), Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.code(), codes::UPSTREAM_TIMEOUT);
}

#[tokio::test]
async fn impatience_does_not_open_a_breaker() {
    let silent = raw(async |mut stream| while head(&mut stream).await.is_some() {}).await;
    let cluster = cluster(&[silent]);
    for _ in 0..10 {
        let error = cluster.call(request(Method::GET, "/"), Duration::from_millis(1)).await.unwrap_err();
        assert_eq!(error.code(), codes::UPSTREAM_TIMEOUT);
    }
}

/// A server that answers the first request of a connection and breaks it at the second.
async fn tires(asked: Arc<AtomicU32>) -> std::net::SocketAddr {
    raw(move |mut stream| {
        let asked = asked.clone();
        async move {
            if head(&mut stream).await.is_some() {
                asked.fetch_add(1, Ordering::Relaxed);
                say(&mut stream, HELLO).await;
            }
            if head(&mut stream).await.is_some() {
                asked.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_kept_connection_that_breaks_is_replaced_only_for_what_may_be_repeated() {
    let asked = Arc::new(AtomicU32::new(0));
    let cluster = cluster(&[tires(asked.clone()).await]);
    let answer = cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
    assert_eq!(text(answer.response).await, "hello");
    let answer = cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
    assert_eq!(text(answer.response).await, "hello");
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    let mut post = request(Method::POST, "/");
    *post.body_mut() = Body::from("x");
    let error = cluster.call(post, LONG).await.unwrap_err();
    assert_eq!(error.code(), codes::UPSTREAM_RESET);
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn what_is_not_http_is_the_upstreams_fault() {
    let odd = raw(async |mut stream| {
        head(&mut stream).await;
        say(&mut stream, "SSH-2.0-OpenSSH\r\n\r\n").await;
    })
    .await;
    let error = cluster(&[odd]).call(request(Method::GET, "/"), LONG).await.unwrap_err();
    assert_eq!(error.code(), codes::UPSTREAM_INVALID);
}

#[tokio::test]
async fn an_answer_cut_short_is_an_error_and_its_connection_is_not_kept() {
    let cut = raw(async |mut stream| {
        head(&mut stream).await;
        say(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello").await;
    })
    .await;
    let cluster = cluster(&[cut]);
    let answer = cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
    assert!(answer.response.into_body().collect().await.is_err());
    assert_eq!(cluster.idle_connections(), 0);
}

/// A server that answers one request on one connection and is gone when the second comes.
#[tokio::test]
async fn an_idempotent_request_goes_elsewhere_when_its_kept_connection_breaks_and_nobody_is_left_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dying = listener.local_addr().unwrap();
    let (die, death) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        say(&mut stream, HELLO).await;
        death.await.unwrap();
        drop(listener);
        // Only now is the second request read, and nothing answered.
        head(&mut stream).await;
    });
    let server = server(ServeOptions::default(), async |_| Response::new(Body::from("elsewhere"))).await;
    let (set, watch) = tokio::sync::watch::channel(endpoints(&[dying]).borrow().clone());
    let cluster = Cluster::new("svc".parse().unwrap(), &watch, ClusterOptions::default());
    let answer = cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
    assert_eq!(text(answer.response).await, "hello");
    die.send(()).unwrap();
    while tokio::net::TcpStream::connect(dying).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let mut both = endpoints(&[dying, server.address]).borrow().as_ref().clone();
    both.revision += 1;
    set.send_replace(Arc::new(both));
    for _ in 0..6 {
        let answer = cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
        assert_eq!(text(answer.response).await, "elsewhere");
    }
}
