use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response};
use tokio::time::Instant;
use trellis_core::{codes, headers};
use trellis_net::client::Reply;
use trellis_net::cluster::{Call, Flight};
use trellis_net::{Body, Cluster, ClusterOptions, Outgoing, ServeOptions};
use trellis_resilience::{Backoff, BreakerOptions, RetryBudgetOptions, RetryOn, RetryPolicy};

use crate::support::{Moody, closed, cluster_with, head, raw, request, say, server, text};

const LONG: Duration = Duration::from_secs(10);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn policy(max_retries: u32) -> RetryPolicy {
    let on = RetryOn { timeout: true, gateway_statuses: true, ..RetryOn::default() };
    let backoff = Backoff { initial: ms(1), max: ms(2) };
    RetryPolicy { max_retries, on, backoff, ..RetryPolicy::default() }
}

fn retrying(policy: RetryPolicy) -> ClusterOptions {
    ClusterOptions { retry: Some(Arc::new(policy)), ..ClusterOptions::default() }
}

/// A server that reads requests and breaks the connection.
async fn breaks(asked: &Arc<AtomicU32>) -> SocketAddr {
    let asked = asked.clone();
    raw(move |mut stream| {
        let asked = asked.clone();
        async move {
            if head(&mut stream).await.is_some() {
                asked.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
    .await
}

/// A server that never answers.
async fn silent(asked: &Arc<AtomicU32>) -> SocketAddr {
    let asked = asked.clone();
    raw(move |mut stream| {
        let asked = asked.clone();
        async move {
            while head(&mut stream).await.is_some() {
                asked.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
    .await
}

#[tokio::test]
async fn what_may_have_arrived_is_sent_again_only_if_it_is_idempotent() {
    let asked = Arc::new(AtomicU32::new(0));
    // So many failures in a row would open the breaker.
    let breaker = BreakerOptions { failures: 100, ..BreakerOptions::default() };
    let options = ClusterOptions { breaker, ..retrying(policy(2)) };
    let cluster = cluster_with(&[breaks(&asked).await], options);
    for (method, times) in [(Method::POST, 1), (Method::PATCH, 1), (Method::GET, 3), (Method::DELETE, 3)] {
        let error = cluster.call(request(method.clone(), "/"), LONG).await.unwrap_err();
        assert_eq!(error.code(), codes::UPSTREAM_RESET);
        assert_eq!(asked.swap(0, Ordering::Relaxed), times, "{method}");
    }
}

#[tokio::test]
async fn a_method_that_may_be_repeated_is() {
    let asked = Arc::new(AtomicU32::new(0));
    let policy = RetryPolicy { methods: ["POST".into()].into(), ..policy(2) };
    let cluster = cluster_with(&[breaks(&asked).await], retrying(policy));
    cluster.call(request(Method::POST, "/"), LONG).await.unwrap_err();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_status_is_tried_elsewhere_and_passed_on_if_it_is_everywhere() {
    let (bad, good) = (Moody::new(503).await, Moody::new(200).await);
    let cluster = cluster_with(&[bad.address, good.address], retrying(policy(1)));
    for _ in 0..10 {
        let answer = cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
        assert_eq!((answer.response.status().as_u16(), answer.instance.as_str()), (200, "i-1"));
    }
    assert_eq!(good.asked(), 10);
    assert_eq!(u64::from(bad.asked()), cluster.report().retries);
    good.says(502);
    let answer = cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
    assert!(answer.response.status().is_server_error());
    assert_eq!((answer.attempts, bad.asked(), good.asked()), (2, 1, 1));
    let answer = cluster.call(request(Method::POST, "/"), LONG).await.unwrap();
    assert_eq!((answer.attempts, bad.asked() + good.asked()), (1, 1));
    // Nobody asked for another answer than this.
    good.says(500);
    bad.says(500);
    assert_eq!(cluster.call(request(Method::GET, "/"), LONG).await.unwrap().attempts, 1);
}

#[tokio::test]
async fn a_budget_ends() {
    let bad = Moody::new(503).await;
    let budget = RetryBudgetOptions { ratio: 0.5, min_per_second: 0.0, burst: 100.0 };
    let cluster = cluster_with(&[bad.address], ClusterOptions { budget, ..retrying(policy(5)) });
    for _ in 0..20 {
        assert_eq!(cluster.call(request(Method::GET, "/"), LONG).await.unwrap().response.status(), 503);
    }
    let report = cluster.report();
    assert_eq!((report.retries, u64::from(bad.asked())), (10, 30));
    assert!(report.retries_denied >= 10, "{report:?}");
}

#[tokio::test]
async fn one_attempt_may_take_only_so_long() {
    let (asked, good) = (Arc::new(AtomicU32::new(0)), Moody::new(200).await);
    let policy = RetryPolicy { per_try_timeout: Some(ms(50)), ..policy(1) };
    let cluster = cluster_with(&[silent(&asked).await, good.address], retrying(policy));
    let mut attempts = 0;
    while asked.load(Ordering::Relaxed) < 2 {
        let answer = cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
        assert_eq!(answer.response.status(), 200);
        attempts += answer.attempts;
    }
    assert_eq!(attempts, 2 + good.asked());
    let mut late = 0;
    while late < 2 {
        let error = cluster.call(request(Method::POST, "/"), LONG).await.err();
        late += u32::from(error.is_some_and(|error| error.code() == codes::UPSTREAM_TIMEOUT));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

/// A server that asks for a wait before its second answer, which is good; it says when it was asked.
async fn later(retry_after: &'static str) -> (SocketAddr, Arc<Mutex<Vec<Instant>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let server = server(ServeOptions::default(), move |_| {
        let mut seen = seen.lock().unwrap();
        seen.push(Instant::now());
        let answer = match seen.len() {
            1 => Response::builder().status(503).header("retry-after", retry_after),
            _ => Response::builder(),
        };
        async move { answer.body(Body::empty()).unwrap() }
    });
    (server.await.address, asked)
}

#[tokio::test]
async fn a_retry_after_is_waited_for_if_it_is_short() {
    let (address, asked) = later("1").await;
    let cluster = cluster_with(&[address], retrying(policy(1)));
    assert_eq!(cluster.call(request(Method::GET, "/"), LONG).await.unwrap().response.status(), 200);
    let waited = asked.lock().unwrap().windows(2).map(|pair| pair[1] - pair[0]).next().unwrap();
    assert!(waited >= Duration::from_secs(1), "{waited:?}");

    let impatient = RetryPolicy { max_retry_after: ms(999), ..policy(1) };
    for (retry_after, policy, outcome) in [
        ("3600", policy(1), (503, 1)),
        ("1", impatient.clone(), (503, 1)),
        // By the clock of the server, which its `Date` tells, one of these is long over.
        ("Sun, 06 Nov 1994 08:49:37 GMT", impatient, (200, 2)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", policy(1), (503, 1)),
    ] {
        let (address, asked) = later(retry_after).await;
        let cluster = cluster_with(&[address], retrying(policy));
        let answer = cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
        let seen = (answer.response.status().as_u16(), asked.lock().unwrap().len());
        assert_eq!(seen, outcome, "{retry_after}");
    }
}

#[tokio::test]
async fn nothing_is_tried_that_would_come_too_late() {
    let bad = Moody::new(503).await;
    let backoff = Backoff { initial: Duration::from_mins(1), max: Duration::from_mins(1) };
    let cluster = cluster_with(&[bad.address], retrying(RetryPolicy { backoff, ..policy(3) }));
    let answer = cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
    assert_eq!((answer.response.status().as_u16(), answer.attempts), (503, 1));
}

#[tokio::test]
async fn a_connection_that_fails_everywhere_is_tried_again_after_a_wait() {
    let options = ClusterOptions { connect_retries: 1, ..retrying(policy(1)) };
    let cluster = cluster_with(&[closed().await, closed().await], options);
    let error = cluster.call(request(Method::POST, "/"), LONG).await.unwrap_err();
    assert_eq!(error.code(), codes::CONNECT_FAILED);
    assert_eq!(cluster.report().retries, 2, "the other one, and one of them again");
}

async fn put(cluster: &Cluster, body: Outgoing, policy: &RetryPolicy) -> Result<String, codes::Code> {
    let mut request = Request::put("/").body(body).unwrap();
    let call = Call { retry: Some(policy), ..Call::once(0, Instant::now() + LONG) };
    match cluster.send(call, &mut request, &mut Flight::default()).await {
        Ok(Reply::Answer(response)) => Ok(text(response.map(Body::new)).await),
        other => Err(other.unwrap_err().code()),
    }
}

#[tokio::test]
async fn a_body_is_sent_again_whole_or_not_at_all() {
    let turn = Arc::new(AtomicU32::new(0));
    let half = raw(move |mut stream| {
        let is_first = turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        async move {
            let mut body = [0; 5];
            head(&mut stream).await;
            let read = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body).await;
            if !is_first && read.is_ok() {
                let body = String::from_utf8_lossy(&body);
                say(&mut stream, &format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{body}")).await;
            }
        }
    })
    .await;
    let cluster = cluster_with(&[half], ClusterOptions::default());
    let whole = Outgoing::full("whole".into());
    assert_eq!(put(&cluster, whole, &policy(1)).await, Ok("whole".into()));
    // The connection that was kept is used by the next request, and broken again.
    let stream = Outgoing::from(Body::from("again"));
    assert_eq!(put(&cluster, stream, &policy(3)).await, Err(codes::UPSTREAM_RESET));
}

#[tokio::test]
async fn each_attempt_is_told_that_there_is_less_time() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    let server = server(ServeOptions::default(), move |request| {
        let asked = request.headers();
        let left = asked[headers::TIMEOUT_MS].to_str().unwrap().parse::<u64>().unwrap();
        told.lock().unwrap().push((left, asked["grpc-timeout"].clone()));
        async { Response::builder().status(503).body(Body::empty()).unwrap() }
    });
    let backoff = Backoff { initial: ms(20), max: ms(20) };
    let cluster = cluster_with(&[server.await.address], retrying(RetryPolicy { backoff, ..policy(2) }));
    let mut grpc = request(Method::GET, "/");
    grpc.headers_mut().insert("content-type", "application/grpc+proto".parse().unwrap());
    grpc.headers_mut().insert("grpc-timeout", "5S".parse().unwrap());
    cluster.call(grpc, LONG).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen.windows(2).all(|pair| pair[0].0 > pair[1].0), "{seen:?}");
    // What the caller of gRPC says bounds the whole call, and is nobody else's to change.
    assert!(seen.iter().all(|(millis, grpc)| *millis <= 10_000 && grpc == "5S"), "{seen:?}");
}
