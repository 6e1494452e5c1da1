//! Checks that say what is known of another.

use serde_json::{Value, json};

use crate::support::{Door, keys};

const REGISTER: &str = "/v1/agent/service/register";

/// What a check of the agent says, and why.
async fn check(door: &Door, id: &str) -> (String, String) {
    let row = door.json("/v1/agent/checks").await[id].clone();
    let text = |name: &str| row[name].as_str().unwrap_or_else(|| panic!("{id}: {row}")).to_owned();
    (text("Status"), text("Output"))
}

#[tokio::test]
async fn an_alias_follows_its_service_and_whoever_waits_is_told() {
    let door = Door::open().await;
    let checks = json!([{"AliasService": "web"}, {"CheckID": "own", "alias_node": "trellis"}]);
    door.done(REGISTER, json!({"Name": "proxy", "Port": 1, "Checks": checks})).await;
    let row = &door.json("/v1/agent/checks").await["service:proxy:1"];
    assert_eq!((&row["Type"], &row["Interval"]), (&json!("alias"), &json!("")));
    let missing = check(&door, "service:proxy:1").await;
    assert_eq!(missing.0, "critical");
    assert!(missing.1.contains("web is not registered"), "{missing:?}");
    assert_eq!(check(&door, "own").await.0, "passing");
    door.done(REGISTER, json!({"Name": "web", "Port": 80, "Check": {"TTL": "1h", "Status": "passing"}}))
        .await;
    assert_eq!(check(&door, "service:proxy:1").await.0, "passing");
    for (verb, status) in [("warn", "warning"), ("fail", "critical"), ("pass", "passing")] {
        let seen = door.get("/v1/health/service/proxy").await;
        let path = format!("/v1/health/service/proxy?index={}&wait=10m", seen.index());
        let report = async {
            door.until_waiting(1).await;
            door.done(&format!("/v1/agent/check/{verb}/service:web"), "").await;
        };
        let (told, ()) = tokio::join!(door.get(&path), report);
        assert_eq!(told.json()[0]["Checks"][1]["Status"], status, "{told:?}");
    }
    door.done("/v1/agent/maintenance?enable=true", "").await;
    assert_eq!(
        (check(&door, "own").await.0, check(&door, "service:proxy:1").await.0),
        ("critical".into(), "critical".into())
    );
    door.done("/v1/agent/maintenance?enable=false", "").await;
    door.done("/v1/agent/service/maintenance/web?enable=true", "").await;
    assert_eq!(door.json("/v1/health/service/proxy?passing").await, json!([]));
    door.done("/v1/agent/service/deregister/web", "").await;
    assert_eq!(check(&door, "service:proxy:1").await, missing);
}

#[tokio::test]
async fn an_alias_of_what_is_on_another_node() {
    let door = Door::open().await;
    let there = |status: &str| {
        let check = json!({"CheckID": "c", "Name": "c", "ServiceID": "db", "Status": status});
        json!({"Node": "far", "Address": "10.0.0.9", "Service": {"ID": "db", "Service": "db"}, "Check": check})
    };
    let alias = json!({"Name": "far away", "AliasNode": "FAR", "AliasService": "db"});
    door.done("/v1/agent/check/register", alias).await;
    assert_eq!(check(&door, "far away").await.0, "critical");
    for status in ["passing", "warning", "critical", "passing"] {
        door.done("/v1/catalog/register", there(status)).await;
        assert_eq!(check(&door, "far away").await.0, status);
    }
    door.done("/v1/catalog/deregister", json!({"Node": "far"})).await;
    assert_eq!(check(&door, "far away").await.0, "critical");
    door.done("/v1/agent/check/deregister/far%20away", "").await;
    assert_eq!(door.json("/v1/agent/checks").await, json!({}));
}

#[tokio::test]
async fn a_sidecar_is_as_well_as_its_service() {
    let door = Door::open().await;
    let service = |sidecar: Value| {
        let check = json!({"CheckID": "c", "TTL": "1h", "Status": "warning"});
        json!({"Name": "web", "Port": 80, "Check": check, "Connect": {"SidecarService": sidecar}})
    };
    door.done(REGISTER, service(json!({}))).await;
    let alias = "service:web-sidecar-proxy:2";
    assert_eq!(door.json("/v1/agent/checks").await[alias]["Name"], "Connect Sidecar Aliasing web");
    assert_eq!(check(&door, alias).await.0, "warning");
    door.done("/v1/agent/check/fail/c", "").await;
    assert_eq!(check(&door, alias).await.0, "critical");
    door.done("/v1/agent/check/pass/c", "").await;
    assert_eq!(check(&door, alias).await.0, "passing");
    // One that says how it is checked is checked in that way only.
    let own = json!({"Checks": [{"CheckID": "mine", "TTL": "1h"}]});
    door.done(&format!("{REGISTER}?replace-existing-checks=true"), service(own)).await;
    assert_eq!(keys(&door.json("/v1/agent/checks").await), ["c", "mine"]);
}

#[tokio::test]
async fn what_is_no_alias_is_refused() {
    let door = Door::open().await;
    for (wrong, why) in [
        (json!({"AliasService": "web", "TTL": "1s"}), "only one of"),
        (json!({"AliasService": "a/b"}), "Invalid AliasService"),
        (json!({"AliasNode": "a b"}), "is no name"),
    ] {
        let refused = door.put(REGISTER, json!({"Name": "a", "Check": wrong})).await;
        assert_eq!((refused.status, refused.text().contains(why)), (400, true), "{refused:?}");
    }
    door.done(REGISTER, json!({"Name": "a", "Check": {"AliasService": "a"}})).await;
    assert_eq!(check(&door, "service:a").await.0, "passing", "of itself it says nothing");
    assert_eq!(door.put("/v1/agent/check/fail/service:a", "").await.status, 409);
}
