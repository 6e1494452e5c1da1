//! How answers look, to the last member.

use std::time::Duration;

use http::{Request, header};
use serde_json::json;
use trellis_registry::{Lease, Name, Registration};

use super::support::{Door, JSON, XML, instance, xml};

#[tokio::test(flavor = "multi_thread")]
async fn lists_in_both_formats() {
    let door = Door::open().await;
    door.register("orders", "orders.local:orders:8080", "UP").await;
    let users: Name = "users".parse().unwrap();
    let managed = Registration::new("users-1".parse().unwrap(), users, "::1", 9001);
    door.registry.register(Registration { lease: Lease::Managed, ..managed }).unwrap();
    insta::assert_json_snapshot!("apps_json", door.get("/eureka/apps").await.json());
    let answer = door.get_xml("/eureka/v2/apps/").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], XML);
    insta::assert_snapshot!("apps_xml", answer.text().replace("><", ">\n<"));
    insta::assert_json_snapshot!("app_json", door.get("/eureka/apps/ORDERS/").await.json());
    insta::assert_json_snapshot!("status_json", door.get("/eureka/status").await.json());
    insta::assert_snapshot!("status_xml", door.get_xml("/eureka/status").await.text());
    insta::assert_snapshot!("page", door.get("/").await.text());
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_in_json_and_in_xml_is_the_same() {
    let door = Door::open().await;
    door.register("orders", "a", "UP").await;
    let from_json = door.get("/eureka/apps/orders/a").await.json();
    assert_eq!(door.delete("/eureka/apps/orders/a").await, 200);
    let answer = door.post("/eureka/v2/apps/ORDERS", XML, xml("orders", "a", "UP")).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(door.get("/eureka/v2/apps/orders/a").await.json(), from_json);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_eureka_knows_comes_back_as_it_came_also_after_a_restart() {
    let door = Door::open().await;
    let mut body = instance("cloud", "i-1", "STARTING");
    let more = json!({
        "hostName": "ip-10-0-0-7", "ipAddr": "ec2.internal", "sid": "s", "appGroupName": "GROUP", "asgName": "asg",
        "port": {"$": 8080, "@enabled": "false"}, "securePort": {"$": 8443, "@enabled": "true"}, "countryId": 49,
        "secureHealthCheckUrl": "https://h/", "secureVipAddress": "one,two", "isCoordinatingDiscoveryServer": "true",
        "dataCenterInfo": {"@class": "com.netflix.appinfo.AmazonInfo", "name": "Amazon", "metadata": {
            "availability-zone": "us-east-1c", "instance-id": "i-0", "ami-id": "a&<b",
        }},
        "leaseInfo": {"renewalIntervalInSecs": 5, "durationInSecs": 20},
        "metadata": {"my_key": "v", "a b": "\"<&>'", "$x": "ü"},
    });
    body["instance"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    door.announce("cloud", &body).await;
    let before = door.get("/eureka/apps/cloud/i-1").await.json();
    insta::assert_json_snapshot!("cloud_json", before);
    let as_xml = door.get_xml("/eureka/apps/cloud/i-1").await;
    insta::assert_snapshot!("cloud_xml", as_xml.text().replace("><", ">\n<"));

    // Its own words in XML are understood as the same.
    assert_eq!(door.delete("/eureka/apps/cloud/i-1").await, 200);
    assert_eq!(door.post("/eureka/apps/CLOUD", XML, as_xml.body).await.status, 204);
    assert_eq!(door.get("/eureka/apps/cloud/i-1").await.json(), before);

    // What the registry itself understands of it.
    let entry = door.registry.find(&door.registry.own_key(&"i-1".parse().unwrap())).unwrap();
    let definition = &entry.instance.definition;
    assert_eq!((&*definition.host, definition.port), ("ip-10-0-0-7", 8443));
    assert_eq!(definition.lease, Lease::For(Duration::from_secs(20)));
    assert_eq!(definition.zone.as_deref(), Some("us-east-1c"));

    let door = Door::open_in(door.close().await, trellis_registry::Options::default()).await;
    let mut after = door.get("/eureka/apps/cloud/i-1").await.json();
    for time in ["registrationTimestamp", "lastRenewalTimestamp"] {
        after["instance"]["leaseInfo"][time] = before["instance"]["leaseInfo"][time].clone();
    }
    after["instance"]["lastUpdatedTimestamp"] = before["instance"]["lastUpdatedTimestamp"].clone();
    assert_eq!(after, before);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_compressed_for_those_who_ask() {
    let door = Door::open().await;
    door.register("orders", "a", "UP").await;
    for path in ["/eureka/apps", "/eureka/apps/delta", "/eureka/apps/orders", "/eureka/vips/orders"] {
        let plain = door.get(path).await;
        assert!(!plain.headers.contains_key(header::CONTENT_ENCODING));
        let request = Request::builder().uri(path).header(header::ACCEPT, JSON);
        let request = request.header(header::ACCEPT_ENCODING, "gzip").body(axum::body::Body::empty());
        let packed = door.send(request.unwrap()).await;
        assert_eq!(packed.unpacked(), plain.text(), "{path}");
        assert_eq!(packed.headers[header::CONTENT_TYPE], JSON);
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_made_once_for_all_who_ask() {
    let door = Door::open().await;
    door.register("orders", "a", "UP").await;
    let made = || door.registry.stats().cache_misses;
    let before = made();
    for _ in 0..10 {
        door.get("/eureka/apps").await;
    }
    assert_eq!(made() - before, 1);
    door.register("orders", "b", "UP").await;
    door.get("/eureka/apps").await;
    assert_eq!(made() - before, 2);
    door.close().await;
}
