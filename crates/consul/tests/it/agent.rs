//! `/v1/agent`.

use serde_json::json;

use crate::support::{Door, all, keys};

#[tokio::test]
async fn a_service_in_either_spelling() {
    let door = Door::open().await;
    let camel = json!({
        "ID": "web-1", "Name": "web", "Tags": ["v1"], "Address": "10.0.0.1", "Port": 80, "Meta": {"My_Key": "x"},
        "Weights": {"Passing": 5, "Warning": 2}, "EnableTagOverride": true,
        "TaggedAddresses": {"lan": {"Address": "10.0.0.1", "Port": 8080}, "v6": {"address": "::1", "port": 81}},
        "Locality": {"Zone": "z1"},
    });
    let snake = json!({
        "id": "web-1", "name": "web", "tags": ["v1"], "address": "10.0.0.1", "port": 80, "meta": {"My_Key": "x"},
        "weights": {"passing": 5, "warning": 2}, "enable_tag_override": true,
        "tagged_addresses": {"lan": {"address": "10.0.0.1", "port": 8080}, "v6": {"address": "::1", "port": 81}},
        "locality": {"zone": "z1"},
    });
    for body in [camel, snake] {
        door.done("/v1/agent/service/register", body).await;
        let shown = door.json("/v1/agent/services").await;
        let expected = json!({
            "ID": "web-1", "Service": "web", "Tags": ["v1"], "Address": "10.0.0.1", "Port": 80,
            "Meta": {"My_Key": "x"}, "Weights": {"Passing": 5, "Warning": 2}, "EnableTagOverride": true,
            "TaggedAddresses": {
                "lan": {"Address": "10.0.0.1", "Port": 8080}, "v6": {"Address": "::1", "Port": 81},
            },
            "Locality": {"Region": "", "Zone": "z1"}, "Datacenter": "dc1",
        });
        assert_eq!(shown, json!({ "web-1": expected }));
        door.done("/v1/agent/service/deregister/web-1", "").await;
        assert_eq!(door.json("/v1/agent/services").await, json!({}));
    }
}

#[tokio::test]
async fn a_name_is_enough_and_checks_are_numbered() {
    let door = Door::open().await;
    let ttl = json!({"TTL": "10s"});
    door.done("/v1/agent/service/register", json!({"Name": "a", "Check": ttl})).await;
    door.done("/v1/agent/service/register", json!({"Name": "b", "Checks": [ttl, ttl]})).await;
    let checks = door.json("/v1/agent/checks").await;
    assert_eq!(keys(&checks), ["service:a", "service:b:1", "service:b:2"]);
    let check = &checks["service:a"];
    assert_eq!(
        (&check["Status"], &check["ServiceID"], &check["Type"]),
        (&json!("critical"), &json!("a"), &json!("ttl"))
    );
    let filtered = door.json("/v1/agent/checks?filter=ServiceName%20==%20b").await;
    assert_eq!(keys(&filtered), ["service:b:1", "service:b:2"]);
    let filtered = door.json("/v1/agent/services?filter=Service%20!=%20b%20and%20Kind%20is%20empty").await;
    assert_eq!(keys(&filtered), ["a"]);
}

#[tokio::test]
async fn ttl_checks_are_reported() {
    let door = Door::open().await;
    door.done("/v1/agent/service/register", json!({"Name": "a", "Check": {"TTL": "1h"}})).await;
    for (verb, status, code) in
        [("pass", "passing", 200), ("warn", "warning", 429), ("fail", "critical", 503)]
    {
        door.done(&format!("/v1/agent/check/{verb}/service:a?note=hm%20{verb}"), "").await;
        let check = door.json("/v1/agent/checks").await["service:a"].clone();
        assert_eq!((&check["Status"], &check["Output"]), (&json!(status), &json!(format!("hm {verb}"))));
        for path in ["id/a", "name/a"] {
            let answer = door.get(&format!("/v1/agent/health/service/{path}?format=text")).await;
            assert_eq!((answer.status, answer.text()), (code, status));
            assert_eq!(door.get(&format!("/v1/agent/health/service/{path}")).await.status, code);
        }
    }
    door.done("/v1/agent/check/update/service:a", json!({"Status": "passing", "Output": "well"})).await;
    let answer = door.json("/v1/agent/health/service/id/a").await;
    assert_eq!(answer["AggregatedStatus"], "passing");
    assert_eq!(all(&answer["Checks"], "/Output"), ["well"]);
    assert_eq!(door.get("/v1/agent/health/service/id/b").await.text(), "ServiceId b not found");
    assert_eq!(door.get("/v1/agent/health/service/name/b").await.status, 404);
    assert_eq!(door.put("/v1/agent/check/update/service:a", json!({"Status": "well"})).await.status, 400);
}

#[tokio::test]
async fn checks_of_the_node_and_later_ones_of_a_service() {
    let door = Door::open().await;
    door.done(
        "/v1/agent/check/register",
        json!({"Name": "disk space", "TTL": "10s", "Notes": "n", "Status": "passing"}),
    )
    .await;
    door.done("/v1/agent/service/register", json!({"Name": "a"})).await;
    let later = json!({"ID": "later", "Name": "x", "ServiceID": "a", "HTTP": "http://127.0.0.1:9/", "Interval": "1h"});
    door.done("/v1/agent/check/register", later).await;
    let checks = door.json("/v1/agent/checks").await;
    assert_eq!(keys(&checks), ["disk space", "later"]);
    assert_eq!((&checks["later"]["Type"], &checks["later"]["Interval"]), (&json!("http"), &json!("3600s")));
    // Registered again, the check stays unless it is said otherwise.
    door.done("/v1/agent/service/register", json!({"Name": "a", "Port": 1})).await;
    assert_eq!(keys(&door.json("/v1/agent/checks").await), ["disk space", "later"]);
    door.done("/v1/agent/service/register?replace-existing-checks=true", json!({"Name": "a", "Port": 2}))
        .await;
    assert_eq!(keys(&door.json("/v1/agent/checks").await), ["disk space"]);
    door.done("/v1/agent/check/deregister/disk%20space", "").await;
    assert_eq!(door.json("/v1/agent/checks").await, json!({}));
}

#[tokio::test]
async fn maintenance_is_a_critical_check() {
    let door = Door::open().await;
    door.done("/v1/agent/service/register", json!({"Name": "a"})).await;
    door.done("/v1/agent/service/maintenance/a?enable=true&reason=update", "").await;
    let checks = door.json("/v1/agent/checks").await;
    assert_eq!(keys(&checks), ["_service_maintenance:a"]);
    assert_eq!(checks["_service_maintenance:a"]["Notes"], "update");
    assert_eq!(door.json("/v1/health/service/a?passing").await, json!([]));
    assert_eq!(all(&door.json("/v1/health/state/critical").await, "/CheckID"), ["_service_maintenance:a"]);
    door.done("/v1/agent/service/maintenance/a?enable=false", "").await;
    assert_eq!(door.json("/v1/agent/checks").await, json!({}));

    door.done("/v1/agent/maintenance?enable=true", "").await;
    assert_eq!(keys(&door.json("/v1/agent/checks").await), ["_node_maintenance"]);
    assert_eq!(door.json("/v1/health/service/a?passing").await, json!([]));
    assert_eq!(door.get("/v1/agent/health/service/id/a").await.status, 503);
    door.done("/v1/agent/maintenance?enable=false", "").await;
    assert_eq!(all(&door.json("/v1/health/service/a?passing").await, "/Service/ID"), ["a"]);
    assert_eq!(door.put("/v1/agent/maintenance", "").await.text(), "Missing value for enable");
}

#[tokio::test]
async fn what_an_operator_says_is_seen_by_clients_that_know_only_checks() {
    let door = Door::open().await;
    door.done("/v1/agent/service/register", json!({"Name": "a"})).await;
    let id = "a".parse().unwrap();
    door.registry.set_override(&id, Some(trellis_core::Status::OutOfService)).await.unwrap();
    assert_eq!(door.json("/v1/health/service/a?passing").await, json!([]));
    assert_eq!(all(&door.json("/v1/health/checks/a").await, "/CheckID"), ["service:a:status"]);
    door.registry.set_override(&id, None).await.unwrap();
    assert_eq!(door.json("/v1/health/checks/a").await, json!([]));
    door.done("/v1/agent/check/register", json!({"Name": "bad", "TTL": "1h", "ServiceID": "a"})).await;
    assert_eq!(door.json("/v1/health/service/a?passing").await, json!([]));
    door.registry.set_override(&id, Some(trellis_core::Status::Up)).await.unwrap();
    assert_eq!(all(&door.json("/v1/health/service/a?passing").await, "/Service/ID"), ["a"]);
}

#[tokio::test]
async fn what_the_agent_says_of_itself() {
    let door = Door::open().await;
    let own = door.json("/v1/agent/self").await;
    assert_eq!(keys(&own), ["Config", "Coord", "DebugConfig", "Member", "Meta", "Stats", "xDS"]);
    assert_eq!(
        (&own["Config"]["Datacenter"], &own["Config"]["NodeName"]),
        (&json!("dc1"), &json!("trellis"))
    );
    assert_eq!(own["Config"]["SessionTTLMin"], 10_000_000_000_u64);
    let leader = door.json("/v1/status/leader").await;
    assert_eq!(leader, own["Stats"]["consul"]["leader_addr"]);
    assert_eq!(door.json("/v1/status/peers").await, json!([leader]));
    assert_eq!(door.json("/v1/agent/members").await, json!([own["Member"]]));
    assert_eq!(all(&door.json("/v1/agent/members?wan=1").await, "/Name"), ["trellis.dc1"]);
    let servers = door.json("/v1/operator/raft/configuration").await;
    assert_eq!((&servers["Index"], &servers["Servers"][0]["Leader"]), (&json!(0), &json!(true)));
    assert_eq!(own["Member"]["Port"], 7700);
    assert_eq!(door.json("/v1/operator/usage").await["Usage"]["dc1"]["Nodes"], 1);
    door.done("/v1/agent/service/register", json!({"Name": "a"})).await;
    let metrics = door.json("/v1/agent/metrics").await;
    assert_eq!(metrics["Gauges"][0], json!({"Name": "trellis_registry_instances", "Value": 1, "Labels": {}}));
    let text = door.get("/v1/agent/metrics?format=prometheus").await;
    assert!(text.text().contains("\ntrellis_registry_registrations_total 1\n"), "{text:?}");
}

#[tokio::test]
async fn a_service_is_shown_with_a_hash_that_can_be_waited_for() {
    let door = Door::open().await;
    door.done("/v1/agent/service/register", json!({"Name": "a", "Port": 1})).await;
    let first = door.get("/v1/agent/service/a").await;
    let hash = first.json()["ContentHash"].as_str().unwrap().to_owned();
    assert_eq!(first.header("x-consul-contenthash"), hash);
    let path = format!("/v1/agent/service/a?hash={hash}&wait=60s");
    let change = async {
        door.until_waiting(1).await;
        // Something else changes first, which is no reason to answer.
        door.done("/v1/agent/service/register", json!({"Name": "b"})).await;
        door.until_waiting(1).await;
        door.done("/v1/agent/service/register", json!({"Name": "a", "Port": 2})).await;
    };
    let (second, ()) = tokio::join!(door.get(&path), change);
    assert_eq!(second.json()["Port"], 2);
    assert_ne!(second.json()["ContentHash"], hash);
    assert_eq!(door.get("/v1/agent/service/c").await.status, 404);
}
