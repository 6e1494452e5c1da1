use axum::body::Body;
use http::Request;

use crate::support::{TestGateway, echo, table, until};

#[tokio::test]
async fn requests_are_counted_by_route() {
    let routes = "[[route]]\npath = '/a/**'\nservice = 's'\n[[route]]\npath = '/down'\nservice = 'none'";
    let gateway = TestGateway::start(routes).await;
    gateway.registry.set("s", &[echo().await]);
    for _ in 0..3 {
        gateway.send(Request::post("/a/1").body(Body::from("hello")).unwrap()).await;
    }
    gateway.get("/down").await;
    gateway.get("/nowhere").await;
    gateway.handle.replace(table(routes)).expect("a table");
    until(async || gateway.handle.stats().in_flight == 0).await;
    let metrics = gateway.handle.metrics();
    let sample = |start: &str| {
        let line = metrics.lines().find(|line| line.starts_with(&format!("{start} ")));
        line.unwrap_or_else(|| panic!("{start} is not in {metrics}"))
            .rsplit(' ')
            .next()
            .expect("a value")
            .to_owned()
    };
    assert_eq!(sample("trellis_requests_total{route=\"/a/**\",code=\"2xx\"}"), "3");
    assert_eq!(sample("trellis_requests_total{route=\"/down\",code=\"5xx\"}"), "1");
    assert_eq!(sample("trellis_request_bytes_total{route=\"/a/**\"}"), "15");
    assert_eq!(sample("trellis_request_duration_seconds_count{route=\"/a/**\"}"), "3");
    assert_eq!(sample("trellis_refused_total{code=\"TRL1003\"}"), "1");
    assert_eq!(sample("trellis_refused_total{code=\"TRL1001\"}"), "1");
    assert_eq!(sample("trellis_requests_in_flight"), "0");
    assert_eq!(sample("trellis_table_revision"), "2");
    assert_eq!(sample("trellis_table_swap_duration_seconds_count"), "2");
}
