//! What is refused, and how: plain text and the platform's code.

use http::Method;
use serde_json::json;
use trellis_consul::Options;

use crate::support::Door;

#[tokio::test]
async fn one_table_of_refusals() {
    let door = Door::open().await;
    let cases = [
        ("GET", "/v1/nothing", "", 404, "Invalid URL path", "TRL2004"),
        ("GET", "/v1/catalog/nodes?dc=dc2", "", 500, "No path to datacenter", "TRL2010"),
        ("GET", "/v1/catalog/nodes?index=x", "", 400, "Invalid index", "TRL2010"),
        ("GET", "/v1/kv/a?wait=x", "", 400, "Invalid wait time", "TRL2010"),
        ("GET", "/v1/kv/", "", 400, "Missing key name", "TRL2010"),
        ("PUT", "/v1/kv/a?cas=1&acquire=x", "", 400, "Conflicting flags: cas&acquire", "TRL2010"),
        ("PUT", "/v1/kv/a?cas=x", "", 400, "Invalid value for ?cas", "TRL2010"),
        ("DELETE", "/v1/kv/a?recurse&cas=1", "", 400, "Conflicting flags: recurse&cas", "TRL2010"),
        ("GET", "/v1/health/service/a?passing=maybe", "", 400, "Invalid value for ?passing", "TRL2010"),
        ("GET", "/v1/health/state/odd", "", 400, "Invalid state", "TRL2010"),
        ("GET", "/v1/catalog/service/a%20b", "", 400, "\"a b\" is no name", "TRL2010"),
        (
            "GET",
            "/v1/catalog/nodes?filter=not+a+valid+expression((",
            "",
            400,
            "Failed to create boolean expression evaluator: ",
            "TRL2010",
        ),
        ("GET", "/v1/catalog/nodes?filter=Nothing+==+1", "", 400, "Failed to evaluate boolean", "TRL2010"),
        ("GET", "/v1/agent/services?filter=((", "", 400, "Failed to create boolean", "TRL2010"),
        ("PUT", "/v1/agent/service/register", "{", 400, "Request decode failed: ", "TRL2010"),
        ("PUT", "/v1/agent/service/register", "[]", 400, "Request decode failed: ", "TRL2010"),
        ("PUT", "/v1/agent/service/register", "{}", 400, "Missing service name", "TRL2010"),
        (
            "PUT",
            "/v1/agent/service/register",
            r#"{"Name":"a","Port":70000}"#,
            400,
            "Invalid Port 70000",
            "TRL2010",
        ),
        ("PUT", "/v1/agent/service/register", r#"{"Name":"a","Port":"x"}"#, 400, "Request decode", "TRL2010"),
        ("PUT", "/v1/agent/service/register", r#"{"Name":"a b"}"#, 400, "\"a b\" is no name", "TRL2010"),
        (
            "PUT",
            "/v1/agent/service/register",
            r#"{"Name":"a","Address":"a b"}"#,
            400,
            "the registration",
            "TRL2002",
        ),
        (
            "PUT",
            "/v1/agent/service/register",
            r#"{"Name":"a","Kind":"connect-proxy"}"#,
            400,
            "Proxy.DestinationServiceName must be",
            "TRL2010",
        ),
        (
            "PUT",
            "/v1/agent/service/register",
            r#"{"Name":"a","SocketPath":"/run/a"}"#,
            501,
            "SocketPath",
            "TRL2017",
        ),
        ("PUT", "/v1/agent/service/register", r#"{"Name":"a","Kind":"odd"}"#, 400, "Invalid Kind", "TRL2010"),
        (
            "PUT",
            "/v1/agent/service/register",
            r#"{"Name":"a","Meta":{"consul.kind":"x"}}"#,
            400,
            "Invalid Service Meta",
            "TRL2010",
        ),
        (
            "PUT",
            "/v1/agent/service/register",
            r#"{"Name":"a","Check":{}}"#,
            400,
            "Invalid check: TTL",
            "TRL2010",
        ),
        (
            "PUT",
            "/v1/agent/service/register",
            r#"{"Name":"a","Check":{"HTTP":"http://x/"}}"#,
            400,
            "Invalid check: Interval must be > 0",
            "TRL2010",
        ),
        (
            "PUT",
            "/v1/agent/service/register",
            r#"{"Name":"a","Check":{"TTL":"1s","TCP":"a:1","Interval":"1s"}}"#,
            400,
            "Invalid check: only one of",
            "TRL2010",
        ),
        (
            "PUT",
            "/v1/agent/service/register",
            r#"{"Name":"a","Check":{"Args":["/bin/true"],"Interval":"1s"}}"#,
            400,
            "the registration is not valid: /checks/0/kind/command",
            "TRL2002",
        ),
        ("PUT", "/v1/agent/service/register", r#"{"Name":"a","Check":{"UDP":"a:1"}}"#, 501, "UDP", "TRL2017"),
        ("PUT", "/v1/agent/service/deregister/none", "", 404, "Unknown service ID \"none\"", "TRL2004"),
        ("PUT", "/v1/agent/service/maintenance/none?enable=true", "", 404, "Unknown service ID", "TRL2004"),
        ("PUT", "/v1/agent/check/pass/none", "", 404, "Unknown check ID \"none\"", "TRL2004"),
        ("PUT", "/v1/agent/check/deregister/none", "", 404, "Unknown check ID \"none\"", "TRL2004"),
        ("PUT", "/v1/agent/check/register", r#"{"TTL":"1s"}"#, 400, "Missing check name", "TRL2010"),
        (
            "PUT",
            "/v1/agent/check/register",
            r#"{"Name":"x","TTL":"1s","ServiceID":"none"}"#,
            404,
            "ServiceID \"none\" does not exist",
            "TRL2004",
        ),
        ("GET", "/v1/agent/monitor?loglevel=odd", "", 400, "Unknown log level: odd", "TRL2010"),
        ("GET", "/v1/acl/tokens", "", 401, "ACL support disabled", "TRL2017"),
        ("PUT", "/v1/agent/token/default", "{}", 401, "ACL support disabled", "TRL2017"),
        ("GET", "/v1/config/odd", "", 400, "invalid config entry kind: odd", "TRL2010"),
        ("PUT", "/v1/config", "[]", 400, "Request decoding failed: ", "TRL2010"),
        ("GET", "/v1/connect/intentions/exact?source=a", "", 400, "required query parameter", "TRL2010"),
        ("GET", "/v1/connect/intentions/match?by=me&name=a", "", 400, "required query parameter", "TRL2010"),
        ("PUT", "/v1/connect/intentions/1-2", "{}", 501, "Trellis has a mesh", "TRL2017"),
        ("PUT", "/v1/coordinate/update", r#"{"Node":"trellis","Coord":{}}"#, 400, "invalid coord", "TRL2010"),
        ("PUT", "/v1/agent/leave", "", 501, "who may stop the platform", "TRL2017"),
        ("PUT", "/v1/agent/reload", "", 501, "there is nothing to read anew", "TRL2017"),
        ("GET", "/v1/connect/ca/roots", "", 501, "Trellis has a mesh", "TRL2017"),
        ("POST", "/v1/query", "{}", 501, "prepared queries", "TRL2017"),
        ("GET", "/v1/snapshot", "", 501, "a copy of the data", "TRL2017"),
        ("GET", "/v1/operator/keyring", "", 501, "there is no gossip", "TRL2017"),
        ("PUT", "/v1/agent/force-leave/n", "", 501, "nodes join and leave", "TRL2017"),
    ];
    for (method, path, body, status, text, code) in cases {
        let answer = door.send(method.parse().unwrap(), path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(answer.text().starts_with(text), "{method} {path}: {answer:?}");
        assert_eq!(answer.header("trellis-code"), code, "{method} {path}");
        assert!(answer.header("content-type").starts_with("text/plain"), "{method} {path}");
    }
}

#[tokio::test]
async fn methods_are_named_and_heads_have_no_body() {
    let door = Door::open().await;
    let answer = door.send(Method::POST, "/v1/catalog/nodes", "").await;
    assert_eq!((answer.status, answer.text()), (405, "method POST not allowed"));
    assert_eq!(answer.header("allow"), "GET,HEAD");
    assert_eq!(door.send(Method::POST, "/v1/kv/a", "").await.status, 405);
    let head = door.send(Method::HEAD, "/v1/catalog/nodes", "").await;
    assert_eq!((head.status, head.text()), (200, ""));
    assert!(head.index() >= 1);
}

#[tokio::test]
async fn tokens_are_taken_and_pretty_is_for_people() {
    let door = Door::open().await;
    let answer = door.get("/v1/catalog/datacenters?pretty&token=secret").await;
    assert_eq!(answer.text(), "[\n    \"dc1\"\n]\n");
    assert_eq!(door.get("/v1/catalog/datacenters?dc=DC1&stale&cached").await.status, 200);
}

#[tokio::test]
async fn consistency_is_told() {
    let door = Door::open().await;
    for (query, told) in [("", "leader"), ("?stale", "stale"), ("?consistent=", "consistent")] {
        for path in ["/v1/catalog/nodes", "/v1/kv/a", "/v1/session/list"] {
            let answer = door.get(&format!("{path}{query}")).await;
            assert_eq!(answer.header("x-consul-effective-consistency"), told);
            assert_eq!(answer.header("x-consul-default-acl-policy"), "allow");
        }
    }
}

#[tokio::test]
async fn bodies_are_bounded() {
    let door = Door::open_with(Options { max_body: 1024, ..Options::default() }).await;
    assert_eq!(door.put("/v1/kv/a", "x".repeat(1024)).await.status, 200);
    for path in ["/v1/kv/a", "/v1/agent/service/register", "/v1/txn", "/v1/session/create"] {
        let answer = door.put(path, "x".repeat(1025)).await;
        assert_eq!((answer.status, answer.header("trellis-code")), (413, "TRL1009"), "{path}");
    }
    let large = Door::open_with(Options { max_body: 4 << 20, ..Options::default() }).await;
    assert_eq!(large.put("/v1/kv/a", "x".repeat(512 << 10)).await.status, 200);
    assert_eq!(large.put("/v1/kv/a", "x".repeat((512 << 10) + 1)).await.status, 413);
    let check = json!({"Name": "a", "Check": {"TTL": "1s"}});
    assert_eq!(large.put("/v1/agent/service/register", check).await.status, 200);
}
