//! What the door takes and gives, and how it refuses.

use axum::body::Body;
use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use serde_json::json;
use trellis_registry::Options;

use crate::support::{Door, id, managed};

#[tokio::test]
async fn an_instance_registers_renews_and_leaves() {
    let door = Door::open().await;
    let body = json!({
        "service": "orders", "host": "::1", "port": 8080, "metadata": {"version": "2"}, "weight": 3, "zone": "b",
        "status": "STARTING", "lease": "1m",
    });
    let answer = door.client.put("/v1/instances/orders-1", body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json,
        json!({
            "id": "orders-1", "name": "orders", "host": "::1", "port": 8080, "metadata": {"version": "2"}, "weight": 3,
            "zone": "b", "status": "STARTING", "reported": "STARTING", "since_unix_ms": 0, "expires_in_ms": 60_000,
        })
    );
    // The same id again replaces it; what is left out has its default.
    assert_eq!(door.client.register("orders-1", "orders").await.json["expires_in_ms"], 15_000);
    let list = door.client.get("/v1/services").await.json;
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(
        (&list[0]["name"], &list[0]["status"], &list[0]["up"]),
        (&json!("orders"), &json!("UP"), &json!(1))
    );
    assert_eq!(list[0]["instances"][0]["port"], 9);
    let shown = door.client.get("/v1/instances/orders-1").await.json;
    assert!(shown["expires_in_ms"].as_u64().unwrap() <= 15_000);
    assert_eq!(door.client.post("/v1/instances/orders-1/renew").await.status, 204);
    assert_eq!(door.client.delete("/v1/instances/orders-1").await.status, 204);
    assert_eq!(door.client.get("/v1/services").await.json, json!([]));
    for gone in ["/v1/services/orders", "/v1/instances/orders-1"] {
        assert_eq!(door.client.get(gone).await.refusal(), (404, "TRL2004"));
    }
    let renewed = door.client.post("/v1/instances/orders-1/renew").await;
    assert_eq!(renewed.refusal(), (404, "TRL2004"));
    assert!(renewed.detail().contains("register it again"), "{}", renewed.detail());
    assert_eq!(door.client.delete("/v1/instances/orders-1").await.refusal(), (404, "TRL2004"));
}

#[tokio::test]
async fn a_body_that_is_wrong_is_refused_with_the_place_and_the_fix() {
    let door = Door::open().await;
    let good = json!({"service": "a", "host": "h", "port": 1});
    let with = |key: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    let cases = [
        (with("prot", json!(1)), "/prot", "unknown field `prot`, expected one of"),
        (with("port", json!("80")), "/port", "string \"80\", expected a number from 1 to 65535"),
        (with("port", json!(0)), "/port", "expected a number from 1 to 65535"),
        (with("port", json!(65_536)), "/port", "expected a number from 1 to 65535"),
        (with("weight", json!(-1)), "/weight", "expected a number from 0 to 65535"),
        (with("service", json!("A_b")), "/service", "use 1 to 63 of a-z, 0-9 and '-'"),
        (with("host", json!("h:1")), "/host", "without a port"),
        (
            with("status", json!("ILL")),
            "/status",
            "expected one of `STARTING`, `UP`, `DOWN`, `OUT_OF_SERVICE`",
        ),
        (with("lease", json!("soon")), "/lease", "such as 500ms, 30s or 5m"),
        (with("lease", json!("1ms")), "/lease", "between 100ms and 24h"),
        (with("metadata", json!({"k": 1})), "/metadata/k", "expected a string"),
        (with("metadata", json!({"k": "x".repeat(1025)})), "/metadata/k", "at most 1024 bytes"),
        (with("id", json!("other")), "/id", "another id than the path has"),
        (json!({"service": "a", "port": 1}), "", "missing field `host`"),
        (json!([null, "a", "h", 1, {}, 1, null, "UP", null]), "", "expected an object"),
        (json!("a"), "", "expected an object"),
    ];
    for (body, pointer, says) in cases {
        let answer = door.client.put("/v1/instances/a-1", body.clone()).await;
        assert_eq!(answer.refusal(), (422, "TRL2002"), "{body}");
        let error = &answer.json["errors"][0];
        assert_eq!(error["pointer"], pointer, "{body}");
        assert!(error["detail"].as_str().unwrap().contains(says), "{body}: {error}");
        assert!(answer.detail().contains(says), "{body}: {}", answer.detail());
    }
    assert_eq!(door.client.get("/v1/services").await.json, json!([]));
}

#[tokio::test]
async fn what_is_no_proper_request_is_refused() {
    let door = Door::open().await;
    let send = async |media: Option<&str>, body: Body| {
        let mut request = Request::put("/v1/instances/a-1").header(header::HOST, "registry");
        if let Some(media) = media {
            request = request.header(header::CONTENT_TYPE, media);
        }
        door.client.send(request.header("x-request-id", "r-7").body(body).unwrap()).await
    };
    let json = Some("application/json; charset=utf-8");
    let malformed = send(json, Body::from("{\"service\": ")).await;
    assert_eq!(malformed.refusal(), (400, "TRL2001"));
    assert!(malformed.detail().contains("line 1 column"), "{}", malformed.detail());
    assert_eq!(malformed.json["request_id"], "r-7");
    assert_eq!(malformed.headers["x-request-id"], "r-7");
    let twice = r#"{"service":"a","host":"h","port":1} {}"#;
    assert_eq!(send(json, Body::from(twice)).await.refusal(), (400, "TRL2001"));
    assert_eq!(send(None, Body::from("{}")).await.refusal(), (415, "TRL2003"));
    assert_eq!(send(Some("text/plain"), Body::from("{}")).await.refusal(), (415, "TRL2003"));
    let large = send(json, Body::from(" ".repeat((64 << 10) + 1))).await;
    assert_eq!(large.refusal(), (413, "TRL1009"));
    assert_eq!(large.json["max_bytes"], 64 << 10);

    for (path, says) in [
        ("/v1/services/Orders", "use 1 to 63 of a-z, 0-9 and '-'"),
        ("/v1/services/a/endpoints?revision=-1", "revision"),
        ("/v1/services/a/endpoints?revision=1&wait=soon", "such as 500ms, 30s or 5m"),
        ("/v1/services/a/endpoints?index=1", "unknown field `index`"),
        ("/v1/endpoints", "missing field `services`"),
        ("/v1/endpoints?services=a,,b", "use 1 to 63 of a-z, 0-9 and '-'"),
        ("/v1/instances/%20", "visible ASCII"),
        ("/v1/instances/%ff", "UTF-8"),
    ] {
        let answer = door.client.get(path).await;
        assert_eq!(answer.refusal(), (400, "TRL2010"), "{path}");
        assert!(answer.detail().contains(says), "{path}: {}", answer.detail());
    }
    let method = door.client.call(Method::PATCH, "/v1/instances/a-1", None).await;
    assert_eq!(method.refusal(), (405, "TRL1002"));
    let allowed: Vec<_> = method.headers[header::ALLOW].to_str().unwrap().split(',').collect();
    assert!(allowed.contains(&"PUT") && allowed.contains(&"DELETE"), "{allowed:?}");
}

#[tokio::test]
async fn nobody_outside_touches_what_the_platform_runs() {
    let door = Door::open().await;
    door.registry.handle.register(managed("a-1", "a")).unwrap();
    assert_eq!(door.client.register("a-1", "b").await.refusal(), (409, "TRL2005"));
    assert_eq!(door.client.delete("/v1/instances/a-1").await.refusal(), (409, "TRL2005"));
    assert_eq!(door.client.post("/v1/instances/a-1/renew").await.status, 204);
    assert!(door.client.get("/v1/instances/a-1").await.json.get("expires_in_ms").is_none());
    door.registry.handle.deregister(&id("a-1")).unwrap();
    assert_eq!(door.client.register("a-1", "b").await.status, 200);
}

#[tokio::test]
async fn a_full_registry_says_so() {
    let door = Door::open_with(Options { max_instances: 2, ..Options::default() }).await;
    for n in 1..=2 {
        assert_eq!(door.client.register(&format!("a-{n}"), "a").await.status, 200);
    }
    let full = door.client.register("a-3", "a").await;
    assert_eq!(full.refusal(), (503, "TRL2011"));
    assert!(full.headers.contains_key(header::RETRY_AFTER));
    assert!(full.detail().contains("[registry] max_instances"), "{}", full.detail());
    assert_eq!(door.client.register("a-2", "a").await.status, 200);
}

#[tokio::test]
async fn every_path_of_the_door_is_in_its_document() {
    let document = serde_json::to_value(trellis_registry::openapi()).unwrap();
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let door = Door::open().await;
    assert_eq!(paths.len(), 9);
    for path in paths {
        let path = path.replace("{name}", "a").replace("{id}", "a-1");
        // Known to the router: refused by method, not as a path.
        assert_eq!(door.client.call(Method::PATCH, &path, None).await.refusal(), (405, "TRL1002"), "{path}");
    }
}

#[tokio::test]
async fn what_is_answered_at_once_is_what_the_router_says() {
    let door = Door::open().await;
    let at_once = |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        trellis_registry::at_once(&door.registry.handle, &request.body(()).unwrap())
    };
    for instances in 0..3 {
        for path in ["/v1/services/orders/endpoints", "/v1/services/nobody/endpoints"] {
            // The second answer is one that was kept.
            for _ in 0..2 {
                let answer = at_once(Method::GET, path, &[("accept", "application/json")]).unwrap();
                assert_eq!(answer.status(), 200);
                assert_eq!(answer.headers()["content-type"], "application/json");
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(json, door.client.get(&format!("{path}?")).await.json);
                let there = if path.contains("orders") { instances } else { 0 };
                assert_eq!(json["endpoints"].as_array().unwrap().len(), there);
            }
        }
        assert_eq!(door.client.register(&format!("orders-{instances}"), "orders").await.status, 200);
    }
    for (method, path, headers) in [
        (Method::GET, "/v1/services/orders/endpoints", &[("accept", "text/event-stream")][..]),
        (Method::GET, "/v1/services/orders/endpoints?revision=1", &[]),
        (Method::GET, "/v1/services/orders%2Fx/endpoints", &[]),
        (Method::GET, "/v1/services/a/b/endpoints", &[]),
        (Method::GET, "/v1/services//endpoints", &[]),
        (Method::GET, "/v1/services/endpoints", &[]),
        (Method::GET, "/v1/services/orders", &[]),
        (Method::HEAD, "/v1/services/orders/endpoints", &[]),
        (Method::PUT, "/v1/services/orders/endpoints", &[]),
    ] {
        assert!(at_once(method.clone(), path, headers).is_none(), "{method} {path} {headers:?}");
    }
}
