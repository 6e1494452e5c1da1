//! What `[[cluster]]` says holds for requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use http::{Request, StatusCode};
use trellis_net::Body;

use crate::support::{TestGateway, echo, service, table, until};

/// A service that answers with a status that can be changed, and counts.
async fn moody(status: &Arc<AtomicU16>, asked: &Arc<AtomicU32>) -> SocketAddr {
    let (status, asked) = (status.clone(), asked.clone());
    let answer = move || {
        asked.fetch_add(1, Ordering::Relaxed);
        let status = StatusCode::from_u16(status.load(Ordering::Relaxed));
        std::future::ready(status.expect("a status"))
    };
    service(Router::new().fallback(answer)).await
}

fn fixed(addresses: &[SocketAddr], settings: &str) -> String {
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    format!(
        "[[cluster]]\nname = 'c'\nendpoints = {addresses:?}\n{settings}\n[[route]]\npath = '/**'\ncluster = 'c'\n"
    )
}

async fn get(gateway: &TestGateway, path: &str) -> StatusCode {
    gateway.send(Request::get(path).body(Body::empty()).expect("a request")).await.status
}

#[tokio::test]
async fn a_retry_is_the_routes_or_the_clusters() {
    let (status, asked) = (Arc::new(AtomicU16::new(503)), Arc::new(AtomicU32::new(0)));
    let bad = moody(&status, &asked).await;
    let manifest = fixed(&[bad], "retry = { max = 2, backoff = '1ms' }");
    let gateway = TestGateway::start(&manifest).await;
    assert_eq!(get(&gateway, "/").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(asked.swap(0, Ordering::Relaxed), 3);
    gateway.handle.replace(table(&format!("{manifest}retry = {{ max = 0 }}"))).expect("a table");
    assert_eq!(get(&gateway, "/").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(asked.swap(0, Ordering::Relaxed), 1);
    let report = &gateway.handle.clusters()[0];
    assert_eq!((report.name.as_str(), report.retries, report.members.len()), ("c", 2, 1));
}

#[tokio::test]
async fn equal_keys_go_to_one_instance() {
    let asked: Vec<_> = (0..3).map(|_| Arc::new(AtomicU32::new(0))).collect();
    let good = Arc::new(AtomicU16::new(200));
    let mut addresses = Vec::new();
    for asked in &asked {
        addresses.push(moody(&good, asked).await);
    }
    let gateway = TestGateway::start(&fixed(&addresses, "balance = 'maglev'\nhash = 'request.path'")).await;
    let mut homes = std::collections::BTreeSet::new();
    for key in 0..20 {
        for _ in 0..5 {
            assert_eq!(get(&gateway, &format!("/{key}")).await, StatusCode::OK);
        }
        let counts: Vec<_> = asked.iter().map(|asked| asked.swap(0, Ordering::Relaxed)).collect();
        homes.insert(counts.iter().position(|count| *count == 5).unwrap_or_else(|| panic!("{counts:?}")));
    }
    assert_eq!(homes.len(), 3);
}

#[tokio::test]
async fn a_table_whose_files_cannot_be_read_changes_nothing() {
    let gateway = TestGateway::start(&fixed(&[echo().await], "")).await;
    let secured = fixed(&[echo().await], "tls = { ca = '/nowhere/ca.pem' }");
    let error = gateway.handle.replace(table(&secured)).expect_err("a refusal");
    assert!(error.detail().contains("/nowhere/ca.pem"), "{error}");
    assert_eq!(get(&gateway, "/").await, StatusCode::OK);
}

#[tokio::test]
async fn instances_are_asked_how_they_are_as_soon_as_a_table_names_them() {
    let (status, asked) = (Arc::new(AtomicU16::new(500)), Arc::new(AtomicU32::new(0)));
    let (ill, well) = (moody(&status, &asked).await, echo().await);
    let gateway = TestGateway::start(&fixed(&[well], "")).await;
    let health = "health = { path = '/healthz', interval = '10ms', fall = 1 }";
    gateway.handle.replace(table(&fixed(&[ill, well], health))).expect("a table");
    let healthy = || gateway.handle.clusters()[0].members.iter().map(|m| m.healthy).collect::<Vec<_>>();
    until(async || healthy() == [false, true]).await;
    for _ in 0..10 {
        assert_eq!(get(&gateway, "/").await, StatusCode::OK);
    }
    // Who is gone from the table is asked no longer.
    gateway.handle.replace(table(&fixed(&[well], ""))).expect("a table");
    until(async || {
        get(&gateway, "/").await;
        asked.swap(0, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
        asked.load(Ordering::Relaxed) == 0
    })
    .await;
}

#[tokio::test]
async fn more_requests_than_a_cluster_takes_are_refused() {
    let slow = service(Router::new().fallback(async || std::future::pending::<()>().await)).await;
    let manifest = fixed(&[slow], "max_requests = 1");
    let gateway = Arc::new(TestGateway::start(&manifest).await);
    let first = gateway.clone();
    let first = tokio::spawn(async move { get(&first, "/").await });
    let is_under_way = || gateway.handle.clusters()[0].requests.is_some_and(|requests| requests.now == 1);
    until(async || is_under_way()).await;
    let second = gateway.send(Request::get("/").body(Body::empty()).expect("a request")).await;
    second.problem("TRL1014");
    first.abort();
}
