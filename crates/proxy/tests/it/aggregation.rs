use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};

use crate::support::{TestGateway, nobody, service};

const DASHBOARD: &str = r#"
[[route]]
path = "/api/dashboard"
[route.aggregate]
users = { service = "users", get = "/users", timeout = "300ms" }
orders = { service = "orders", get = "/orders?all=1", timeout = "300ms", max_bytes = 1000 }
[route.aggregate.compute]
"stats.total_users" = "size(users)"
"stats.total_orders" = "size(orders)"
"stats.revenue" = "sum(orders.filter(o, o.status != 'cancelled').map(o, o.amount))"
"#;

async fn users() -> SocketAddr {
    service(Router::new().route("/users", get(async || Json(json!([{"id": 1}, {"id": 2}]))))).await
}

async fn orders<R: IntoResponse + Clone + Send + Sync + 'static>(answer: R) -> SocketAddr {
    service(Router::new().route("/orders", get(async move || answer))).await
}

async fn dashboard(users: SocketAddr, orders: SocketAddr) -> TestGateway {
    let gateway = TestGateway::start(DASHBOARD).await;
    gateway.registry.set("users", &[users]);
    gateway.registry.set("orders", &[orders]);
    gateway
}

fn two_orders() -> Value {
    json!([{"amount": 100.0, "status": "completed"}, {"amount": 200.0, "status": "pending"}])
}

#[tokio::test]
async fn the_dashboard() {
    let gateway = dashboard(users().await, orders(Json(two_orders())).await).await;
    let answer = gateway.get("/api/dashboard").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, Some("application/json")));
    let expected = r#"{"orders":[{"amount":100.0,"status":"completed"},{"amount":200.0,"status":"pending"}],"users":[{"id":1},{"id":2}],"stats":{"revenue":300,"total_orders":2,"total_users":2}}"#;
    assert_eq!(answer.text, expected);
    assert!(answer.header("x-request-id").is_some());

    let head = gateway.send(Request::head("/api/dashboard").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
    let post = gateway.send(Request::post("/api/dashboard").body(Body::empty()).unwrap()).await;
    assert_eq!((post.status, post.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, Some("GET, HEAD")));
}

#[tokio::test]
async fn a_part_that_fails_is_null_and_says_why() {
    let problem = (
        StatusCode::CONFLICT,
        [("content-type", "application/problem+json")],
        r#"{"code":"SHOP7","detail":"closed for today"}"#,
    );
    for (orders, code, detail) in [
        (nobody().await, "TRL1005", "orders does not accept connections"),
        (
            service(Router::new().fallback(std::future::pending::<()>)).await,
            "TRL1006",
            "orders did not answer in time",
        ),
        (orders(StatusCode::NOT_FOUND).await, "TRL1008", "orders answered with status 404"),
        (orders(problem).await, "SHOP7", "closed for today"),
        (orders("not json").await, "TRL1008", "orders did not answer with JSON"),
        (
            orders(format!("\"{}\"", "x".repeat(1000))).await,
            "TRL1008",
            "orders answered with more than 1000 bytes",
        ),
        (slow_body().await, "TRL1006", "orders did not answer in time"),
    ] {
        let gateway = dashboard(users().await, orders).await;
        let answer = gateway.get("/api/dashboard").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let missing = |target| json!({"compute": target, "code": "TRL1016", "detail": "orders is missing"});
        let expected = json!({
            "orders": null,
            "users": [{"id": 1}, {"id": 2}],
            "stats": {"revenue": null, "total_orders": null, "total_users": 2},
            "errors": [
                {"part": "orders", "code": code, "detail": detail},
                missing("stats.revenue"),
                missing("stats.total_orders"),
            ],
        });
        assert_eq!(answer.json(), expected);
        assert!(!answer.text.contains("127.0.0.1"));
    }
}

/// Begins an answer and does not end it.
async fn slow_body() -> SocketAddr {
    let endless =
        || Body::from_stream(futures_util::stream::pending::<Result<&'static str, std::io::Error>>());
    service(Router::new().route("/orders", get(async move || endless()))).await
}

#[tokio::test]
async fn when_all_parts_fail_so_does_the_whole() {
    let gateway = dashboard(nobody().await, orders(StatusCode::BAD_GATEWAY).await).await;
    let answer = gateway.get("/api/dashboard").await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::BAD_GATEWAY, Some("1")));
    let problem = answer.problem("TRL1011");
    let parts: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|e| (&e["part"], &e["code"])).collect();
    assert_eq!(parts, [(&json!("orders"), &json!("TRL1008")), (&json!("users"), &json!("TRL1005"))]);
}

#[tokio::test]
async fn parts_are_fetched_at_the_same_time() {
    // Each waits for the other: one after the other would never end.
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let meet = |path: &'static str| {
        let both = both.clone();
        service(Router::new().route(
            path,
            get(async move || {
                both.wait().await;
                Json(json!([]))
            }),
        ))
    };
    let (users, orders) = (meet("/users").await, meet("/orders").await);
    let gateway = dashboard(users, orders).await;
    assert_eq!(gateway.get("/api/dashboard").await.json()["stats"]["revenue"], 0);
}

#[tokio::test]
async fn parts_are_asked_on_the_clients_behalf() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = |path: &'static str| {
        let seen = seen.clone();
        service(Router::new().route(
            path,
            get(async move |headers: HeaderMap, uri: http::Uri| {
                seen.lock().unwrap().push((uri.to_string(), headers));
                Json(json!([]))
            }),
        ))
    };
    let (users, orders) = (keep("/users").await, keep("/orders").await);
    let gateway = dashboard(users, orders).await;
    let request = Request::get("/api/dashboard?q=1")
        .header("authorization", "Bearer abc")
        .header("cookie", "a=1")
        .header("x-request-id", "r1")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("content-type", "text/plain");
    assert_eq!(gateway.send(request.body(Body::from("ignored")).unwrap()).await.status, StatusCode::OK);
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(seen.iter().map(|s| s.0.as_str()).collect::<Vec<_>>(), ["/orders?all=1", "/users"]);
    for (_, headers) in seen {
        for (name, value) in [
            ("authorization", "Bearer abc"),
            ("x-request-id", "r1"),
            ("accept", "application/json"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-host", "shop.example"),
        ] {
            assert_eq!(headers[name], value);
        }
        assert!(headers["traceparent"].to_str().unwrap().starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
        let left: u64 = headers["trellis-timeout-ms"].to_str().unwrap().parse().unwrap();
        assert!(left <= 320);
        assert!(
            !headers.contains_key("cookie")
                && !headers.contains_key("content-type")
                && !headers.contains_key("content-length")
        );
    }
}

#[tokio::test]
async fn much_data_is_computed_as_well() {
    let manifest = DASHBOARD.replace(", max_bytes = 1000", "");
    let gateway = TestGateway::start(&manifest).await;
    let many: Vec<_> = (0..5000).map(|_| json!({"amount": 2, "status": "completed"})).collect();
    gateway.registry.set("users", &[users().await]);
    gateway.registry.set("orders", &[orders(Json(many)).await]);
    assert_eq!(gateway.get("/api/dashboard").await.json()["stats"]["revenue"], 10_000);
}

#[tokio::test]
async fn a_client_without_patience_gets_no_parts() {
    let gateway = dashboard(users().await, orders(Json(two_orders())).await).await;
    let request =
        Request::get("/api/dashboard").header("trellis-timeout-ms", "0").body(Body::empty()).unwrap();
    gateway.send(request).await.problem("TRL1012");
}
