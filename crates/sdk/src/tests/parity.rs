//! One suite, through both bindings of the seam.

use std::time::Duration;

use trellis_core::codes;

use super::module::{Number, Seen, echo, relay};
use super::support::{Platform, Process, mesh_through};
use crate::context::{self, RequestContext};
use crate::{CallError, MeshClient};

async fn suite(mesh: &MeshClient) {
    let echo = mesh.service("echo");

    // Data both ways
    assert_eq!(
        echo.post("/double").json(&Number { n: 21 }).fetch::<Number>().await.unwrap(),
        Number { n: 42 }
    );
    assert_eq!(echo.get("/list?limit=3").fetch::<Number>().await.unwrap(), Number { n: 3 });

    // Refusals keep their code and text
    let refused = echo.get("/things/2").fetch::<Number>().await.unwrap_err();
    let CallError::Refused { status: 404, problem } = &refused else { panic!("{refused:?}") };
    assert_eq!((problem.code.as_str(), problem.detail.as_str()), (codes::NOT_FOUND.id, "no such thing"));
    assert!(problem.request_id.is_some() && !refused.may_have_happened());
    for (path, code) in [
        ("/things/x", codes::NOT_FOUND),
        ("/list?limt=3", codes::INVALID_PARAMETER),
        ("/list?limit=-1", codes::INVALID_PARAMETER),
        ("/nothing", codes::NOT_FOUND),
        ("/double", codes::METHOD_NOT_ALLOWED),
    ] {
        let CallError::Refused { status, problem } = echo.get(path).done().await.unwrap_err() else {
            panic!("{path}")
        };
        assert_eq!((status, problem.code.as_str()), (code.status, code.id), "{path}");
    }
    for (body, code) in [
        ("{\"n\":", codes::MALFORMED_JSON),
        ("{\"n\":\"1\"}", codes::INVALID_INPUT),
        ("{\"n\":1,\"m\":2}", codes::INVALID_INPUT),
        ("{}", codes::INVALID_INPUT),
    ] {
        let request = http::Request::post("/double").header("content-type", "application/json");
        let response = echo.call(request.body(body.into()).unwrap()).await.unwrap();
        assert_eq!(response.status().as_u16(), code.status, "{body}");
        let bytes = trellis_net::body::collect(response.into_body(), 4096).await.unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains(code.id), "{body}");
    }
    let busy = echo.get("/busy").done().await.unwrap_err();
    assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)));

    // A crash is a 500 that says nothing of its cause
    let CallError::Refused { status: 500, problem } = echo.get("/panic").done().await.unwrap_err() else {
        panic!()
    };
    assert_eq!(problem.detail, "the service failed");

    // A deadline ends the call, on both sides
    let late = echo.get("/slow").timeout(Duration::from_millis(50)).done().await.unwrap_err();
    assert!(late.may_have_happened() || late.status() == Some(504), "{late:?}");

    // Mistakes of the caller are not sent
    let error = echo.get("no-slash").done().await.unwrap_err();
    assert!(matches!(error, CallError::Unavailable(_)), "{error:?}");

    // The context travels, and the deadline shrinks
    let mut outer = RequestContext::root("tests".parse().unwrap(), (7, 9));
    outer.deadline = Some(tokio::time::Instant::now() + Duration::from_secs(5));
    let seen: Seen = context::scope(outer.clone(), echo.get("/seen").fetch()).await.unwrap();
    assert_eq!((seen.trace_id.as_str(), seen.module.as_str()), ("00000000000000000000000000000007", "echo"));
    assert_eq!(seen.request_id, *outer.request_id);
    assert!(seen.left_ms.is_some_and(|left| left <= 5000), "{seen:?}");

    // Nothing is sent when no time is left
    outer.deadline = Some(tokio::time::Instant::now());
    let error = context::scope(outer, echo.get("/seen").done()).await.unwrap_err();
    assert!(!error.may_have_happened(), "{error:?}");
}

#[tokio::test]
async fn in_the_process() {
    let process = Process::start(vec![echo(), relay()], &[]).await;
    suite(&process.host.mesh).await;
}

#[tokio::test]
async fn over_the_network() {
    let process = Process::start(vec![echo()], &[]).await;
    let platform = Platform::start(&[process.address]).await;
    suite(&process.remote_mesh(&platform)).await;
}

/// What the proxy adds is tested with the real one, in the shop; here it is the other side that answers.
#[tokio::test]
async fn through_a_proxy() {
    let process = Process::start(vec![echo()], &[]).await;
    suite(&mesh_through(process.address)).await;
}

#[tokio::test]
async fn an_unknown_module_is_said_to_be_unknown() {
    let process = Process::start(vec![echo()], &[]).await;
    for name in ["nobody", "Not A Name"] {
        let error = process.host.mesh.service(name).get("/").done().await.unwrap_err();
        let CallError::Unavailable(error) = error else { panic!("{error:?}") };
        assert_eq!(error.code(), codes::NO_ENDPOINT);
    }
}

#[tokio::test]
async fn a_call_through_another_module_keeps_the_trace() {
    let process = Process::start(vec![echo(), relay()], &[]).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = process.client().get("/relay").header(trellis_core::headers::TRACEPARENT, trace);
    let seen: Seen = call.fetch().await.unwrap();
    assert_eq!((seen.trace_id.as_str(), seen.module.as_str()), ("0af7651916cd43dd8448eb211c80319c", "echo"));
}

#[tokio::test]
async fn discovery_follows_changes_and_survives_silence() {
    let (one, two) = (Process::start(vec![echo()], &[]).await, Process::start(vec![echo()], &[]).await);
    let platform = Platform::start(&[one.address]).await;
    let mesh = two.remote_mesh(&platform);
    let echo = mesh.service("echo");
    echo.get("/seen").done().await.unwrap();

    platform.publish(2, &[two.address]);
    one.shutdown.trigger();
    let moved = async {
        while echo.get("/seen").done().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), moved).await.unwrap();
    drop(platform);
    echo.get("/seen").done().await.unwrap();
}
