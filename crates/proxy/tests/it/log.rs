use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use http::Request;
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;

use crate::support::{TestGateway, service, until};

/// What is logged on this thread, which is the one the whole test runs on.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn install(&self) -> DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || log.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn access(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().expect("a lock").clone()).expect("text");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.filter(|line| line["target"] == "access").map(|line| line["fields"].clone()).collect()
    }
}

#[tokio::test]
async fn each_request_has_its_line() {
    let log = Log::default();
    let _guard = log.install();
    let upstream =
        service(Router::new().route("/users/{id}", post(async |body: String| body.to_uppercase()))).await;
    let gateway = TestGateway::start(
        "[gateway]\nworkers = 1\n[[route]]\npath = '/api/users/**'\nservice = 'users'\nrewrite = '/users/**'",
    )
    .await;
    gateway.registry.set("users", &[upstream]);
    let request = Request::post("/api/users/7?token=secret")
        .header("x-request-id", "r1")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    gateway.send(request.body(Body::from("hello")).unwrap()).await;
    gateway.get("/nowhere").await;
    until(async || log.access().len() == 2).await;

    let lines = log.access();
    let first = &lines[0];
    for (field, value) in [
        ("client", json!("127.0.0.1")),
        ("protocol", json!("HTTP/1.1")),
        ("method", json!("POST")),
        ("path", json!("/api/users/7")),
        ("route", json!("/api/users/**")),
        ("service", json!("users")),
        ("instance", json!("users-1")),
        ("status", json!(200)),
        ("bytes_in", json!(5)),
        ("bytes_out", json!(5)),
        ("attempts", json!(1)),
        ("request_id", json!("r1")),
        ("trace_id", json!("0af7651916cd43dd8448eb211c80319c")),
        ("flag", Value::Null),
    ] {
        assert_eq!(first[field], value, "{field} of {first}");
    }
    assert!(first["duration_us"].is_u64());
    assert!(!first.to_string().contains("secret"));
    assert_eq!(
        (&lines[1]["status"], &lines[1]["flag"], &lines[1]["route"]),
        (&json!(404), &json!("TRL1001"), &Value::Null)
    );
}

#[tokio::test]
async fn the_access_log_can_be_switched_off() {
    let log = Log::default();
    let _guard = log.install();
    let gateway = TestGateway::to(&[], "[gateway]\naccess_log = false").await;
    gateway.get("/").await.problem("TRL1003");
    until(async || gateway.handle.stats().in_flight == 0).await;
    assert_eq!(log.access(), Vec::<Value>::new());
}
