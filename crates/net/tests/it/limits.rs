use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use trellis_core::error::Retry;
use trellis_core::{Error, codes};
use trellis_net::client::{Protocol, Reply};
use trellis_net::cluster::{Call, Flight};
use trellis_net::{Body, Cluster, ClusterOptions, Outgoing, PoolOptions, ServeOptions};
use trellis_resilience::{ConcurrencyOptions, State};

use crate::support::{cluster_with, eventually, request, server, text};

const LONG: Duration = Duration::from_secs(10);

/// A server that answers when it is let.
struct Gate {
    address: SocketAddr,
    entered: mpsc::UnboundedReceiver<()>,
    open: Arc<Semaphore>,
}

impl Gate {
    async fn new() -> Self {
        let (enter, entered) = mpsc::unbounded_channel();
        let open = Arc::new(Semaphore::new(0));
        let gate = open.clone();
        let server = server(ServeOptions::default(), move |_| {
            let (enter, gate) = (enter.clone(), gate.clone());
            async move {
                enter.send(()).unwrap();
                gate.acquire().await.unwrap().forget();
                Response::new(Body::from("hello"))
            }
        });
        Self { address: server.await.address, entered, open }
    }
}

fn calls(cluster: &Arc<Cluster>, worker: usize) -> JoinHandle<Result<String, Error>> {
    let cluster = cluster.clone();
    tokio::spawn(async move {
        let mut request = Request::get("/").body(Outgoing::empty()).unwrap();
        let mut flight = Flight::default();
        match cluster.send(Call::once(worker, Instant::now() + LONG), &mut request, &mut flight).await? {
            Reply::Answer(response) => {
                Ok(text(response.map(|body| Body::new(flight.until_read(body)))).await)
            }
            Reply::Switched(..) => unreachable!(),
        }
    })
}

#[tokio::test]
async fn more_requests_than_may_be_are_refused() {
    let mut gate = Gate::new().await;
    let concurrency = Some(ConcurrencyOptions { max: 2, ..ConcurrencyOptions::default() });
    let cluster =
        Arc::new(cluster_with(&[gate.address], ClusterOptions { concurrency, ..ClusterOptions::default() }));
    let running = [calls(&cluster, 0), calls(&cluster, 0)];
    gate.entered.recv().await.unwrap();
    gate.entered.recv().await.unwrap();
    let error = cluster.call(request(Method::GET, "/"), LONG).await.unwrap_err();
    assert_eq!(error.code(), codes::OVERLOADED);
    assert!(matches!(error.retry_advice(), Retry::After(_)));
    assert_eq!(cluster.report().limit_hits, 1);
    gate.open.add_permits(3);
    for call in running {
        assert_eq!(call.await.unwrap().unwrap(), "hello");
    }
    // An answer that is not read yet counts.
    let unread = cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
    assert_eq!(cluster.report().requests.map(|requests| requests.now), Some(1));
    drop(unread);
    assert_eq!(cluster.report().requests.map(|requests| requests.now), Some(0));
}

fn one_connection(workers: usize, connect_timeout: Duration) -> ClusterOptions {
    let options = ClusterOptions::default();
    let pool = PoolOptions { connect_timeout, ..options.pool };
    ClusterOptions { max_connections: Some(1), workers, pool, ..options }
}

#[tokio::test]
async fn workers_share_the_connections_there_may_be() {
    let mut gate = Gate::new().await;
    let cluster = Arc::new(cluster_with(&[gate.address], one_connection(4, LONG)));
    let running: Vec<_> = (0..20).map(|n| calls(&cluster, n % 4)).collect();
    for _ in 0..20 {
        gate.entered.recv().await.unwrap();
        assert_eq!(cluster.report().members[0].connections, Some(1));
        assert!(gate.entered.try_recv().is_err(), "one at a time");
        gate.open.add_permits(1);
    }
    for call in running {
        assert_eq!(call.await.unwrap().unwrap(), "hello");
    }
    let report = cluster.report();
    assert_eq!((report.limit_hits, report.idle_connections), (0, 1));
    // One that lies idle with another worker is found.
    gate.open.add_permits(4);
    for worker in 0..4 {
        assert_eq!(calls(&cluster, worker).await.unwrap().unwrap(), "hello");
    }
}

#[tokio::test]
async fn who_waits_too_long_for_a_connection_is_refused() {
    let mut gate = Gate::new().await;
    let cluster = Arc::new(cluster_with(&[gate.address], one_connection(1, Duration::from_millis(50))));
    let running = calls(&cluster, 0);
    gate.entered.recv().await.unwrap();
    let error = calls(&cluster, 0).await.unwrap().unwrap_err();
    assert_eq!(error.code(), codes::OVERLOADED);
    let report = cluster.report();
    assert_eq!((report.limit_hits, report.members[0].breaker), (1, State::Closed));
    // A request that is given up takes its connection with it, and makes room.
    running.abort();
    eventually("room", async || cluster.report().members[0].connections == Some(0)).await;
    gate.open.add_permits(2);
    assert_eq!(calls(&cluster, 0).await.unwrap().unwrap(), "hello");
}

#[tokio::test]
async fn http2_makes_another_connection_when_one_is_full() {
    let mut gate = Gate::new().await;
    let mut options = ClusterOptions::default();
    options.pool.protocol = Protocol::Http2;
    options.pool.streams_per_connection = 2;
    let cluster = Arc::new(cluster_with(&[gate.address], options));
    let running: Vec<_> = (0..6).map(|_| calls(&cluster, 0)).collect();
    for _ in 0..6 {
        gate.entered.recv().await.unwrap();
    }
    assert_eq!(cluster.idle_connections(), 3);
    gate.open.add_permits(6);
    for call in running {
        assert_eq!(call.await.unwrap().unwrap(), "hello");
    }
}

#[tokio::test]
async fn http2_shares_the_connections_there_may_be() {
    let mut gate = Gate::new().await;
    let mut options = one_connection(2, LONG);
    options.pool.protocol = Protocol::Http2;
    options.pool.streams_per_connection = 1;
    let cluster = Arc::new(cluster_with(&[gate.address], options));
    let running: Vec<_> = (0..4).map(|n| calls(&cluster, n % 2)).collect();
    for _ in 0..4 {
        gate.entered.recv().await.unwrap();
    }
    assert_eq!(cluster.report().members[0].connections, Some(1));
    gate.open.add_permits(4);
    for call in running {
        assert_eq!(call.await.unwrap().unwrap(), "hello");
    }
}
