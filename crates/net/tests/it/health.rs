use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body_util::{BodyExt, Full};
use tokio::task::JoinHandle;
use trellis_net::client::Protocol;
use trellis_net::cluster::{HealthOptions, Question};
use trellis_net::{Body, Cluster, ClusterOptions, PoolOptions, ServeOptions, body};
use trellis_runtime::Shutdown;

use crate::support::{Moody, closed, cluster_with, eventually, request, server};

const LONG: Duration = Duration::from_secs(10);

fn checked(question: Question) -> ClusterOptions {
    let (interval, timeout) = (Duration::from_millis(10), Duration::from_secs(5));
    let health = HealthOptions { question, interval, timeout, rise: 2, fall: 2 };
    ClusterOptions { health: Some(health), ..ClusterOptions::default() }
}

fn watched(cluster: &Cluster) -> JoinHandle<()> {
    tokio::spawn(cluster.watch_health(&Shutdown::new()).unwrap())
}

fn healthy(cluster: &Cluster) -> Vec<bool> {
    cluster.report().members.iter().map(|member| member.healthy).collect()
}

#[tokio::test]
async fn one_that_fails_its_checks_takes_no_traffic_until_it_passes_them() {
    let (one, other) = (Moody::new(200).await, Moody::new(200).await);
    let options = checked(Question::Http("/health?deep=1".parse().unwrap()));
    let cluster = cluster_with(&[one.address, other.address], options);
    assert_eq!(healthy(&cluster), [true, true]);
    let watching = watched(&cluster);
    assert!(cluster.watch_health(&Shutdown::new()).is_none(), "it is watched once");
    one.says(503);
    eventually("down", async || healthy(&cluster) == [false, true]).await;
    for _ in 0..20 {
        let answer = cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
        assert_eq!(answer.instance.as_str(), "i-1");
    }
    other.says(503);
    eventually("both down", async || healthy(&cluster) == [false, false]).await;
    // Nobody is left: what is known may be wrong, so all are asked.
    assert_eq!(cluster.call(request(Method::GET, "/"), LONG).await.unwrap().response.status(), 503);
    one.says(204);
    eventually("up", async || healthy(&cluster) == [true, false]).await;
    assert_eq!(cluster.call(request(Method::GET, "/"), LONG).await.unwrap().instance.as_str(), "i-0");
    drop(cluster);
    watching.await.unwrap();
}

#[tokio::test]
async fn a_connection_can_be_enough() {
    let one = Moody::new(500).await;
    let cluster = cluster_with(&[one.address, closed().await], checked(Question::Tcp));
    let _watching = watched(&cluster);
    eventually("down", async || healthy(&cluster) == [true, false]).await;
}

#[tokio::test]
async fn grpc_is_asked_in_its_own_words() {
    let status = Arc::new(AtomicU8::new(1));
    let says = status.clone();
    let server = server(ServeOptions::default(), move |request| {
        let status = says.load(Ordering::Relaxed);
        async move {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            assert_eq!(request.headers()["content-type"], "application/grpc");
            let asked = body::collect(request.into_body(), 100).await.unwrap();
            assert_eq!(asked[..], *b"\0\0\0\0\x06\x0a\x04shop");
            let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
            let message = Full::new(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]));
            let message = message.with_trailers(async { Some(Ok(trailers)) });
            Response::builder().header("content-type", "application/grpc").body(Body::new(message)).unwrap()
        }
    });
    let mut options = checked(Question::Grpc("shop".into()));
    options.pool = PoolOptions { protocol: Protocol::Http2, ..options.pool };
    let cluster = cluster_with(&[server.await.address], options);
    let _watching = watched(&cluster);
    status.store(2, Ordering::Relaxed);
    eventually("not serving", async || healthy(&cluster) == [false]).await;
    status.store(1, Ordering::Relaxed);
    eventually("serving", async || healthy(&cluster) == [true]).await;
}
