use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::json;

use crate::support::{TestGateway, echo, got};

async fn shop() -> TestGateway {
    let (users, orders) = (echo().await, echo().await);
    let gateway = TestGateway::start(&format!(
        r#"
        [module.users]
        routes = ["/users/**"]
        [module.orders]
        [[cluster]]
        name = "fixed"
        endpoints = ["{users}", "{users}"]
        [[route]]
        path = "/api/users/**"
        service = "users"
        rewrite = "/users/**"
        [[route]]
        path = "/api/orders"
        methods = ["GET", "POST"]
        service = "orders"
        rewrite = "/all"
        [[route]]
        path = "/fixed/**"
        cluster = "fixed"
        "#
    ))
    .await;
    gateway.registry.set("users", &[users]);
    gateway.registry.set("orders", &[orders]);
    gateway
}

#[tokio::test]
async fn requests_go_where_the_routes_say() {
    let gateway = shop().await;
    for (path, target) in [
        ("/api/users", "/users"),
        ("/api/users/42?x=1&y=%20%2F", "/users/42?x=1&y=%20%2F"),
        ("/api/users/a%2Fb%20c/", "/users/a%2Fb%20c/"),
        ("/%61pi/users/%7e", "/users/%7e"),
        ("/api/users//42", "/users/42"),
        ("/users/7?", "/users/7?"),
        ("/api/orders?limit=5", "/all?limit=5"),
        ("/fixed/a", "/fixed/a"),
    ] {
        let answer = gateway.get(path).await;
        assert_eq!((answer.status, &answer.json()["target"]), (StatusCode::OK, &json!(target)), "{path}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn what_leads_nowhere_is_a_problem_document() {
    let gateway = shop().await;
    for path in ["/", "/api", "/api/user", "/api/orders/", "/api%2Fusers"] {
        let answer = gateway.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        answer.problem("TRL1001");
    }
    for path in
        ["/api/users/../orders", "/api/users/%2e%2e/orders", "/api/users/..%2forders", "/api/users/%zz"]
    {
        let answer = gateway.get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        answer.problem("TRL1010");
    }
    let answer = gateway.send(Request::delete("/api/orders").body(Body::empty()).unwrap()).await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (StatusCode::METHOD_NOT_ALLOWED, Some("GET, HEAD, POST"))
    );
    answer.problem("TRL1002");
}

#[tokio::test]
async fn all_methods_are_carried() {
    let gateway = shop().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let request = Request::builder().method(method).uri("/fixed/x").body(Body::from("content")).unwrap();
        let answer = gateway.send(request).await;
        assert_eq!((&answer.json()["method"], &answer.json()["body"]), (&json!(method), &json!("content")));
    }
    let answer = gateway.send(Request::head("/api/orders").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
    assert!(answer.header("content-length").is_some_and(|length| length != "0"), "{answer:?}");
    assert_eq!(gateway.handle.stats().outcomes["2xx"], 8);
}

#[tokio::test]
async fn options_for_the_server_as_a_whole_is_answered_here() {
    let gateway = shop().await;
    let answer = gateway.raw(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
}

#[tokio::test]
async fn a_route_says_what_the_service_is_called() {
    let manifest = "[[route]]\npath = '/named'\nservice = 's'\nhost_rewrite = 'x.internal'\n[[route]]\npath = '/**'\nservice = 's'";
    let gateway = TestGateway::start(manifest).await;
    let upstream = echo().await;
    gateway.registry.set("s", &[upstream]);
    let named = gateway.get("/named").await.json();
    assert_eq!(got(&named, "host"), ["x.internal"]);
    assert_eq!(got(&named, "x-forwarded-host"), ["shop.example"]);
    let plain = gateway.get("/plain").await.json();
    assert_eq!(got(&plain, "host"), [upstream.to_string()]);
}
