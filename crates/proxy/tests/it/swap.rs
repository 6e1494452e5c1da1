use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode};

use crate::support::{Answer, TestGateway, nobody, service, soon, table, until};

fn to(service: &str) -> String {
    format!("[[route]]\npath = '/**'\nservice = '{service}'")
}

async fn saying(text: &'static str) -> std::net::SocketAddr {
    service(Router::new().fallback(async move || text)).await
}

#[tokio::test]
async fn routes_change_under_load_and_no_request_notices() {
    let gateway = Arc::new(TestGateway::start(&to("a")).await);
    gateway.registry.set("a", &[saying("a").await]);
    gateway.registry.set("b", &[saying("b").await]);
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (gateway, stop, done) = (gateway.clone(), stop.clone(), done.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let answer = gateway.get("/x").await;
                    assert!(
                        answer.status == StatusCode::OK && ["a", "b"].contains(&&*answer.text),
                        "{answer:?}"
                    );
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for round in 0..50 {
        gateway.handle.replace(table(&to(if round % 2 == 0 { "b" } else { "a" }))).expect("a table");
        let before = done.load(Ordering::SeqCst);
        until(async || done.load(Ordering::SeqCst) > before + 4).await;
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        soon(client).await.unwrap();
    }
    until(async || gateway.handle.stats().in_flight == 0).await;
    let stats = gateway.handle.stats();
    assert_eq!(stats.outcomes.values().sum::<u64>(), stats.requests);
    assert_eq!(stats.outcomes["2xx"], stats.requests);
}

#[tokio::test]
async fn a_request_under_way_finishes_on_the_old_routes() {
    let go = Arc::new(tokio::sync::Notify::new());
    let wait = go.clone();
    let slow = service(Router::new().route(
        "/",
        get(async move || {
            wait.notified().await;
            "old"
        }),
    ))
    .await;
    let gateway = TestGateway::start(&to("a")).await;
    gateway.registry.set("a", &[slow]);
    gateway.registry.set("b", &[saying("new").await]);
    let running = gateway.open(Request::get("/").body(Body::empty()).unwrap());
    let change = async {
        until(async || gateway.handle.stats().in_flight == 1).await;
        gateway.handle.replace(table(&to("b"))).expect("a table");
        assert_eq!(gateway.get("/").await.text, "new");
        go.notify_one();
    };
    let (running, ()) = tokio::join!(running, change);
    assert_eq!(Answer::read(running).await.text, "old");
}

#[tokio::test]
async fn breakers_outlive_a_swap() {
    let settings = "[gateway.breaker]\nfailures = 1\nopen_for = '1h'";
    let gateway = TestGateway::to(&[nobody().await], settings).await;
    gateway.get("/").await.problem("TRL1005");
    gateway.get("/").await.problem("TRL1004");
    gateway
        .handle
        .replace(table(&format!(
            "{settings}\n[[route]]\npath = '/new/**'\nservice = 's'\n[[route]]\npath = '/**'\nservice = 'other'",
        )))
        .expect("a table");
    gateway.get("/new").await.problem("TRL1004");
    // A service that no route needs any more is forgotten.
    gateway.handle.replace(table(&to("other"))).expect("a table");
    gateway.handle.replace(table(&to("s"))).expect("a table");
    gateway.get("/").await.problem("TRL1005");
}

#[tokio::test]
async fn a_changed_default_holds_at_once_where_nothing_else_is_said() {
    let breaker = "failures = 1\nopen_for = '1h'";
    let nobody = nobody().await;
    let manifest = |gateway: &str| {
        let cluster = |name, more: &str| {
            format!(
                "[[cluster]]\nname = '{name}'\nendpoints = ['{nobody}']\n{more}\n\
                 [[route]]\npath = '/{name}'\ncluster = '{name}'\n"
            )
        };
        let own = cluster("own", &format!("[cluster.breaker]\n{breaker}"));
        format!("[gateway]\n{gateway}\n{}{own}", cluster("common", ""))
    };
    let gateway = TestGateway::start(&manifest("")).await;
    let ask = async |path| gateway.get(path).await;
    ask("/own").await.problem("TRL1005");
    ask("/own").await.problem("TRL1004");
    ask("/common").await.problem("TRL1005");
    ask("/common").await.problem("TRL1005");
    // What clusters are not made of costs none of them what is known.
    gateway.handle.replace(table(&manifest("timeout = '7s'"))).expect("a table");
    ask("/own").await.problem("TRL1004");
    let changed = manifest(&format!("timeout = '7s'\n[gateway.breaker]\n{breaker}"));
    gateway.handle.replace(table(&changed)).expect("a table");
    ask("/common").await.problem("TRL1005");
    ask("/common").await.problem("TRL1004");
    ask("/own").await.problem("TRL1004");
}

#[tokio::test]
async fn stats_tell_how_requests_ended() {
    let gateway = TestGateway::start(
        "[[route]]\npath = '/a'\nmethods = ['GET']\nservice = 'a'\n[[route]]\npath = '/b'\nservice = 'b'",
    )
    .await;
    gateway.registry.set("a", &[saying("a").await]);
    for path in ["/a", "/a", "/b", "/c", "/a/../b"] {
        gateway.get(path).await;
    }
    gateway.send(Request::post("/a").body(Body::empty()).unwrap()).await;
    until(async || gateway.handle.stats().in_flight == 0).await;
    let stats = serde_json::to_value(gateway.handle.stats()).unwrap();
    let outcomes = serde_json::json!({"2xx": 2, "TRL1001": 1, "TRL1002": 1, "TRL1003": 1, "TRL1010": 1});
    assert_eq!(stats, serde_json::json!({"requests": 6, "in_flight": 0, "outcomes": outcomes}));
}
