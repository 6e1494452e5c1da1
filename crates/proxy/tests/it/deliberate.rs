//! What routes do on purpose: changes of headers, faults, who the client is.

use axum::body::Body;
use http::{Request, StatusCode};

use crate::support::{TestGateway, echo, got};

async fn gateway(route: &str) -> TestGateway {
    let gateway =
        TestGateway::start(&format!("[gateway]\ntrusted_hops = 2\n[[route]]\npath = '/**'\n{route}")).await;
    gateway.registry.set("s", &[echo().await]);
    gateway
}

fn request(headers: &[(&str, &str)]) -> Request<Body> {
    let request =
        headers.iter().fold(Request::get("/x"), |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).expect("a request")
}

#[tokio::test]
async fn headers_are_changed_both_ways() {
    let gateway = gateway(
        "service = 's'
         request_headers = { set = { x-tier = 'gold', x-request-id = 'mine' }, remove = ['cookie'] }
         response_headers = { add = { cache-control = 'no-store' }, remove = ['content-type'] }",
    )
    .await;
    let answer = gateway.send(request(&[("x-tier", "none"), ("cookie", "a=b")])).await;
    assert_eq!((answer.header("cache-control"), answer.header("content-type")), (Some("no-store"), None));
    let echoed = answer.json();
    assert_eq!((got(&echoed, "x-tier"), got(&echoed, "cookie")), (vec!["gold"], vec![]));
    // What the gateway says itself is not the answer that these are meant for.
    gateway.registry.set("s", &[]);
    gateway.get("/").await.problem("TRL1003");
}

#[tokio::test]
async fn proxies_in_front_are_believed_as_far_as_they_are_trusted() {
    let gateway = gateway("service = 's'\nrequest_headers = { set = { x-seen = '1' } }").await;
    let echoed = gateway
        .send(request(&[
            ("x-forwarded-for", "10.9.9.9, 192.0.2.7, 198.51.100.2"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example"),
        ]))
        .await
        .json();
    assert_eq!(got(&echoed, "x-forwarded-for"), ["10.9.9.9, 192.0.2.7, 198.51.100.2, 127.0.0.1"]);
    assert_eq!(
        (got(&echoed, "x-forwarded-proto"), got(&echoed, "x-forwarded-host")),
        (vec!["https"], vec!["shop.example"])
    );
}

#[tokio::test]
async fn conditions_see_the_client_behind_the_proxies() {
    let gateway = TestGateway::start(
        "[gateway]\ntrusted_hops = 1\n[[route]]\npath = '/**'\nrespond = { body = 'in' }\nwhen = \"request.address == '192.0.2.7' && request.scheme == 'https'\"",
    )
    .await;
    let headers = |client| [("x-forwarded-for", client), ("x-forwarded-proto", "https")];
    assert_eq!(gateway.send(request(&headers("192.0.2.7"))).await.text, "in");
    assert_eq!(gateway.send(request(&headers("192.0.2.8"))).await.status, StatusCode::NOT_FOUND);
    assert_eq!(gateway.send(request(&headers("192.0.2.7, 192.0.2.8"))).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn requests_fail_on_purpose() {
    let gateway =
        gateway("service = 's'\nfault = { abort = 418, when = \"'x-fault' in request.headers\" }").await;
    let answer = gateway.send(request(&[("x-fault", "1")])).await;
    assert_eq!(answer.status, StatusCode::IM_A_TEAPOT);
    answer.problem("TRL1018");
    assert_eq!(gateway.send(request(&[])).await.status, StatusCode::OK);
    assert_eq!(gateway.handle.stats().outcomes["TRL1018"], 1);
}

#[tokio::test]
async fn a_delay_counts_as_waiting() {
    let gateway = gateway("service = 's'\nfault = { delay = '1h' }\ntimeout = '30ms'").await;
    let answer = gateway.get("/").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    answer.problem("TRL1006");
    gateway.send(request(&[("grpc-timeout", "5m")])).await.problem("TRL1012");
    gateway
        .handle
        .replace(crate::support::table("[[route]]\npath = '/**'\nservice = 's'\nfault = { delay = '5ms' }"))
        .expect("a table");
    assert_eq!(gateway.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_delay_on_purpose_opens_no_breaker() {
    let gateway = TestGateway::start(
        "[gateway]
         timeout = '100ms'
         breaker.failures = 1
         [[route]]
         path = '/**'
         service = 's'
         fault = { delay = '60ms' }",
    )
    .await;
    let silent = crate::support::service(axum::Router::new().fallback(std::future::pending::<()>)).await;
    gateway.registry.set("s", &[silent]);
    for _ in 0..3 {
        gateway.get("/").await.problem("TRL1006");
    }
}
