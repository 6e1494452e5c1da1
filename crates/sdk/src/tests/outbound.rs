//! What a proxy answers in place of a service.

use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use http::{HeaderMap, Response};
use trellis_core::{Code, Error, codes};
use trellis_net::{Body, problem};
use trellis_runtime::Shutdown;

use super::support::{mesh_through, serve_on_any_port};
use crate::CallError;

fn known(id: &str) -> Error {
    let code = codes::ALL.iter().find(|code| code.id == id).copied().unwrap();
    Error::new(code, "said so")
}

/// `/own/TRL1234` is the service's own answer, `/proxy/TRL1234` a proxy's.
async fn answer(Path((who, id)): Path<(String, String)>, headers: HeaderMap) -> Response<Body> {
    assert_eq!(headers["host"], "users");
    match who.as_str() {
        "proxy" => problem::document(&known(&id), None).map(Body::from),
        _ => problem::response(&known(&id), None),
    }
}

#[tokio::test]
async fn a_proxys_answer_is_the_error_it_stands_for() {
    let shutdown = Shutdown::new();
    let router = Router::new().route("/{who}/{id}", axum::routing::any(answer));
    let proxy = serve_on_any_port(router.with_state::<()>(()), &shutdown).await;
    let users = mesh_through(proxy).service("users");
    let fails =
        async |who: &str, code: Code| users.get(format!("/{who}/{}", code.id)).done().await.unwrap_err();
    for (said, meant) in [
        (codes::NO_ROUTE, codes::NO_ENDPOINT),
        (codes::NO_ENDPOINT, codes::NO_ENDPOINT),
        (codes::BREAKER_OPEN, codes::BREAKER_OPEN),
        (codes::CONNECT_FAILED, codes::CONNECT_FAILED),
        (codes::BODY_TOO_LARGE, codes::BODY_TOO_LARGE),
        (codes::SHUTTING_DOWN, codes::SHUTTING_DOWN),
    ] {
        let failed = fails("proxy", said).await;
        let CallError::Unavailable(error) = &failed else { panic!("{failed:?}") };
        assert_eq!(error.code(), meant, "{said:?}");
    }
    for (said, meant) in [
        (codes::UPSTREAM_TIMEOUT, codes::UPSTREAM_TIMEOUT),
        (codes::DEADLINE_EXCEEDED, codes::UPSTREAM_TIMEOUT),
        (codes::UPSTREAM_RESET, codes::UPSTREAM_RESET),
        (codes::UPSTREAM_INVALID, codes::UPSTREAM_INVALID),
        (codes::CLIENT_TIMEOUT, codes::CLIENT_TIMEOUT),
    ] {
        let failed = fails("proxy", said).await;
        let CallError::Unknown(error) = &failed else { panic!("{failed:?}") };
        assert_eq!(error.code(), meant, "{said:?}");
    }
    // The same words from the service itself are its answer.
    let refused = fails("own", codes::NO_ENDPOINT).await;
    assert!(matches!(refused, CallError::Refused { status: 503, .. }), "{refused:?}");
    shutdown.trigger();
}

#[tokio::test]
async fn without_its_proxy_nothing_is_sent() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let users = mesh_through(nobody).service("users");
    let failed = users.get("/").timeout(Duration::from_secs(5)).done().await.unwrap_err();
    let CallError::Unavailable(error) = &failed else { panic!("{failed:?}") };
    assert_eq!(error.code(), codes::CONNECT_FAILED);
}
