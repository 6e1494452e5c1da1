//! What is not taken, and what is said of it.

use http::{Method, Request, header};
use serde_json::{Map, Value, json};

use super::support::{Door, JSON, XML, instance, xml};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named() {
    let door = Door::open().await;
    let long = "x".repeat(1025);
    let labels: Map<String, Value> = (0..70).map(|n| (format!("k{n}"), json!("v"))).collect();
    for (pointer, value, said) in [
        ("/instance/hostName", Value::Null, "instance/hostName"),
        ("/instance/hostName", json!({}), "expected a text"),
        ("/instance/ipAddr", json!(""), "instance/ipAddr"),
        ("/instance/ipAddr", json!([]), "expected a text"),
        ("/instance/app", Value::Null, "instance/app"),
        ("/instance/app", json!("USERS"), "have to be the same"),
        ("/instance/instanceId", json!("a/b"), "no '/'"),
        ("/instance/instanceId", json!("ü"), "visible ASCII"),
        ("/instance/status", json!("SLEEPING"), "instance/status"),
        ("/instance/overriddenStatus", json!("SLEEPING"), "instance/overriddenStatus"),
        ("/instance/port", json!("http"), "instance/port"),
        ("/instance/port/$", json!(70000), "instance/port"),
        ("/instance/port/@enabled", json!("maybe"), "true or false"),
        ("/instance/countryId", json!("de"), "instance/countryId"),
        ("/instance/lastDirtyTimestamp", json!("now"), "instance/lastDirtyTimestamp"),
        ("/instance/isCoordinatingDiscoveryServer", json!("so"), "true or false"),
        ("/instance/dataCenterInfo", json!("MyOwn"), "an object"),
        ("/instance/dataCenterInfo/name", json!("Elsewhere"), "Netflix, Amazon or MyOwn"),
        ("/instance/leaseInfo", json!([1, 2]), "an object"),
        ("/instance/leaseInfo/durationInSecs", json!("long"), "durationInSecs"),
        ("/instance/leaseInfo/durationInSecs", json!(100_000), "24h"),
        ("/instance/metadata", json!(["a"]), "object of texts"),
        ("/instance/metadata/zone", json!({"a": "b"}), "instance/metadata/zone"),
        ("/instance/metadata", json!({"eureka.hostName": "x"}), "eureka."),
        ("/instance/metadata", json!({"k": long}), "1024 bytes"),
        ("/instance/metadata", json!(labels), "at most 64 labels"),
        ("/instance/homePageUrl", json!(long), "/metadata/eureka.homePageUrl"),
        ("/instance", json!([]), "exactly one instance"),
        ("/instance", json!("x"), "an object"),
        ("", json!([1, 2]), "exactly one instance"),
    ] {
        let mut body = instance("orders", "a", "UP");
        *body.pointer_mut(pointer).unwrap() = value;
        let answer = door.post("/eureka/apps/ORDERS", JSON, body.to_string()).await;
        assert_eq!(answer.status, 400, "{pointer}: {}", answer.text());
        assert!(answer.text().contains(said), "{pointer}: {}", answer.text());
        assert_eq!(answer.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    }
    assert_eq!(door.get("/eureka/apps").await.json()["applications"]["application"], json!([]));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large_or_not_what_they_say() {
    let door = Door::open().await;
    let good = instance("orders", "a", "UP").to_string();
    let large = format!("{good}{}", " ".repeat(64 << 10));
    let entity = xml("orders", "&x;", "UP");
    let (head, rest) = entity.split_once('\n').unwrap();
    let bomb = format!("{head}<!DOCTYPE a [<!ENTITY x \"{}\">]>{rest}", "y".repeat(1000));
    let nested = "[".repeat(60_000);
    for (media, body, status, said) in [
        (JSON, large.as_str(), 413, "65536 bytes"),
        (JSON, "", 400, "not JSON"),
        (JSON, "{", 400, "not JSON"),
        (JSON, nested.as_str(), 400, "not JSON"),
        (JSON, "<instance/>", 400, "not JSON"),
        (XML, "", 400, "not XML"),
        (XML, good.as_str(), 400, "not XML"),
        (XML, "<instance><hostName>", 400, "too early"),
        (XML, "<instance/>", 400, "instance"),
        (XML, entity.as_str(), 400, "entity"),
        (XML, bomb.as_str(), 400, "document type"),
        ("text/plain", good.as_str(), 415, "application/json"),
    ] {
        let answer = door.post("/eureka/apps/orders", media, body.to_owned()).await;
        assert_eq!(answer.status, status, "{media} {body:.40}: {}", answer.text());
        assert!(answer.text().contains(said), "{media} {body:.40}: {}", answer.text());
    }
    let send = async |request: http::request::Builder| {
        let request = request.method(Method::POST).uri("/eureka/apps/orders").body(good.clone().into());
        door.send(request.unwrap()).await.status
    };
    assert_eq!(send(Request::builder()).await, 415, "a body that does not say what it is");
    let packed =
        Request::builder().header(header::CONTENT_TYPE, JSON).header(header::CONTENT_ENCODING, "gzip");
    assert_eq!(send(packed).await, 415);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_parameters() {
    let door = Door::open().await;
    door.register("orders", "a", "UP").await;
    for (method, path, said) in [
        (Method::GET, "/eureka/apps/a%20b", "1 to 128"),
        (Method::GET, "/eureka/apps/-a", "1 to 128"),
        (Method::PUT, "/eureka/apps/or%2Fders/a", "1 to 128"),
        (Method::PUT, "/eureka/apps/orders/a?status=SLEEPING", "status"),
        (Method::PUT, "/eureka/apps/orders/a?lastDirtyTimestamp=x", "lastDirtyTimestamp"),
        (Method::PUT, "/eureka/apps/orders/a/status", "value"),
        (Method::PUT, "/eureka/apps/orders/a/status?value=up", "value"),
        (Method::PUT, "/eureka/apps/orders/a/status?value=UNKNOWN", "DELETE"),
        (Method::DELETE, "/eureka/apps/orders/a/status?value=x", "value"),
        (Method::PUT, "/eureka/apps/orders/a/metadata?eureka.sid=x", "eureka."),
        (Method::PUT, "/eureka/apps/orders/a/metadata?=x", "key of a label"),
    ] {
        let answer = door.call(method.clone(), path).await;
        assert_eq!(answer.status, 400, "{method} {path}: {}", answer.text());
        assert!(answer.text().contains(said), "{method} {path}: {}", answer.text());
    }
    let body = instance("bad app", "a", "UP").to_string();
    let refused = door.post("/eureka/apps/bad%20app", JSON, body).await;
    assert_eq!((refused.status, refused.text().contains("cannot be a service")), (400, true));
    assert_eq!(door.member("orders", "a", "status").await, "UP");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_registry_says_when_to_come_back() {
    let options = trellis_registry::Options { max_instances: 1, ..trellis_registry::Options::default() };
    let door = Door::open_with(options).await;
    door.register("orders", "a", "UP").await;
    let answer = door.post("/eureka/apps/orders", JSON, instance("orders", "b", "UP").to_string()).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    assert!(answer.text().contains("max_instances"), "{}", answer.text());
    door.close().await;
}
