//! `/v1/catalog`, `/v1/health` and the registry's part of `/v1/txn`.

use serde_json::json;

use crate::support::{Door, all, keys};

async fn two_nodes() -> Door {
    let door = Door::open().await;
    let first = json!({
        "Node": "n1", "Address": "10.1.10.11", "ID": "0ba9f46c-0d4c-4ea8-9d0c-3d6c2f3ea1a1",
        "TaggedAddresses": {"lan": "10.1.10.11"}, "NodeMeta": {"rack": "r1"},
        "Service": {"ID": "s1-a", "Service": "s1", "Port": 80, "Tags": ["prod"]},
        "Check": {"CheckID": "c1", "Name": "c1", "ServiceID": "s1-a", "Status": "passing", "Output": "fine"},
    });
    door.done("/v1/catalog/register", first).await;
    let second = json!({
        "Node": "n2", "Address": "10.1.10.12",
        "Service": {"Service": "s1", "Port": 81, "Address": "10.9.9.9", "Tags": ["stage", "v2"]},
    });
    door.done("/v1/catalog/register", second).await;
    door
}

#[tokio::test]
async fn nodes_and_services_are_listed() {
    let door = two_nodes().await;
    assert_eq!(door.json("/v1/catalog/datacenters").await, json!(["dc1"]));
    let nodes = door.json("/v1/catalog/nodes?near=_agent").await;
    assert_eq!(all(&nodes, "/Node"), ["n1", "n2", "trellis"]);
    assert_eq!(nodes[0]["TaggedAddresses"]["lan"], "10.1.10.11");
    assert_eq!(all(&door.json("/v1/catalog/nodes?node-meta=rack:r1").await, "/Node"), ["n1"]);
    let filtered = door.json("/v1/catalog/nodes?filter=Meta.rack%20==%20r1").await;
    assert_eq!(all(&filtered, "/Node"), ["n1"]);

    assert_eq!(door.json("/v1/catalog/services").await, json!({"consul": [], "s1": ["prod", "stage", "v2"]}));
    assert_eq!(door.json("/v1/catalog/services?node-meta=rack:r1").await, json!({"s1": ["prod"]}));
    let filtered = door.json("/v1/catalog/services?filter=%22v2%22%20in%20ServiceTags").await;
    assert_eq!(filtered, json!({"s1": ["stage", "v2"]}));

    let rows = door.json("/v1/catalog/service/s1").await;
    assert_eq!(all(&rows, "/Address"), ["10.1.10.11", "10.1.10.12"]);
    assert_eq!(all(&rows, "/ServiceAddress"), ["", "10.9.9.9"]);
    assert_eq!(all(&rows, "/ServiceID"), ["s1-a", "s1"]);
    for query in ["tag=stage", "tag=stage&tag=v2", "filter=ServicePort%20==%2081", "filter=Node+==+n2"] {
        let rows = door.json(&format!("/v1/catalog/service/s1?{query}")).await;
        assert_eq!(all(&rows, "/Node"), ["n2"], "{query}");
    }
    for path in ["service/s1?tag=prod&tag=v2", "service/none", "connect/s1", "service/s1?peer=other"] {
        assert_eq!(door.json(&format!("/v1/catalog/{path}")).await, json!([]), "{path}");
    }

    let node = door.json("/v1/catalog/node/n1").await;
    assert_eq!((node["Node"]["Node"].as_str(), keys(&node["Services"])), (Some("n1"), vec!["s1-a"]));
    let none = door.json("/v1/catalog/node/n1?filter=Service+==+x").await;
    assert_eq!(none["Services"], json!({}));
    assert_eq!(door.json("/v1/catalog/node/n9").await, json!(null));
    assert_eq!(all(&door.json("/v1/catalog/node-services/n1").await["Services"], "/ID"), ["s1-a"]);
    assert_eq!(door.json("/v1/catalog/node-services/n9").await["Services"], json!([]));
}

#[tokio::test]
async fn health_is_told_with_node_and_checks() {
    let door = two_nodes().await;
    let rows = door.json("/v1/health/service/s1").await;
    assert_eq!(all(&rows, "/Node/Node"), ["n1", "n2"]);
    assert_eq!(all(&rows[0]["Checks"], "/CheckID"), ["c1"]);
    assert_eq!((&rows[0]["Checks"][0]["Output"], &rows[0]["Service"]["Port"]), (&json!("fine"), &json!(80)));
    assert_eq!(rows[0]["Node"]["Datacenter"], "dc1");

    let update = json!({
        "Node": "n1", "SkipNodeUpdate": true,
        "Check": {"CheckID": "c1", "Name": "c1", "ServiceID": "s1-a", "Status": "critical", "Output": "bad"},
    });
    door.done("/v1/catalog/register", update).await;
    assert_eq!(all(&door.json("/v1/health/service/s1?passing=1").await, "/Node/Node"), ["n2"]);
    assert_eq!(all(&door.json("/v1/health/state/critical").await, "/CheckID"), ["c1"]);
    assert_eq!(all(&door.json("/v1/health/state/passing").await, "/CheckID"), ["serfHealth"]);
    assert_eq!(all(&door.json("/v1/health/state/any").await, "/CheckID"), ["c1", "serfHealth"]);
    assert_eq!(door.json("/v1/health/state/warning").await, json!([]));
    assert_eq!(all(&door.json("/v1/health/node/trellis").await, "/CheckID"), ["serfHealth"]);
    assert_eq!(all(&door.json("/v1/health/checks/s1").await, "/ServiceName"), ["s1"]);
    let filtered = door.json("/v1/health/service/s1?filter=Service.Port+==+81+and+Node.Node+==+n2").await;
    assert_eq!(all(&filtered, "/Service/ID"), ["s1"]);
    assert_eq!(door.json("/v1/health/connect/s1").await, json!([]));
}

#[tokio::test]
async fn what_is_registered_is_removed_piece_by_piece() {
    let door = two_nodes().await;
    door.done("/v1/catalog/deregister", json!({"Node": "n1", "CheckID": "c1"})).await;
    assert_eq!(door.json("/v1/health/checks/s1").await, json!([]));
    door.done("/v1/catalog/deregister", json!({"Node": "n2", "ServiceID": "s1"})).await;
    assert_eq!(all(&door.json("/v1/catalog/service/s1").await, "/Node"), ["n1"]);
    assert_eq!(all(&door.json("/v1/catalog/nodes").await, "/Node"), ["n1", "n2", "trellis"]);
    for _ in 0..2 {
        door.done("/v1/catalog/deregister", json!({"Node": "n1"})).await;
    }
    assert_eq!(door.json("/v1/catalog/service/s1").await, json!([]));
    assert_eq!(door.put("/v1/catalog/register", json!({"Node": "n5"})).await.status, 400);
    assert_eq!(
        door.put("/v1/catalog/register", json!({"Node": "n5", "Address": "a", "Datacenter": "dc2"}))
            .await
            .status,
        500
    );
    assert_eq!(door.put("/v1/catalog/deregister", json!({"Node": "trellis"})).await.status, 409);
}

#[tokio::test]
async fn one_change_of_the_catalog_is_a_transaction() {
    let door = Door::open().await;
    let set =
        json!([{"Node": {"Verb": "set", "Node": {"Node": "n1", "Address": "10.0.0.1", "Meta": {"a": "b"}}}}]);
    let made = door.done("/v1/txn", set).await.json();
    assert_eq!(made["Results"][0]["Node"]["Meta"]["a"], "b");
    let service = json!([
        {"Node": {"Verb": "get", "Node": {"Node": "n1"}}},
        {"Service": {"Verb": "set", "Node": "n1", "Service": {"ID": "x", "Service": "web", "Port": 5}}},
    ]);
    let made = door.done("/v1/txn", service).await.json();
    assert_eq!(made["Results"][1]["Service"]["Port"], 5);
    let check = json!([
        {"Check": {"Verb": "set", "Check": {"Node": "n1", "CheckID": "c", "Name": "c", "ServiceID": "x", "Status": "warning"}}},
    ]);
    let made = door.done("/v1/txn", check).await.json();
    assert_eq!(made["Results"][0]["Check"]["Status"], "warning");
    let missing = json!([
        {"Node": {"Verb": "get", "Node": {"Node": "n9"}}},
        {"Service": {"Verb": "delete", "Node": "n1", "Service": {"ID": "x"}}},
    ]);
    let refused = door.put("/v1/txn", missing).await;
    assert_eq!((refused.status, &refused.json()["Errors"][0]["OpIndex"]), (409, &json!(0)));
    let delete = json!([{"Service": {"Verb": "delete", "Node": "n1", "Service": {"ID": "x"}}}]);
    assert_eq!(door.done("/v1/txn", &delete).await.json()["Results"], json!([]));
    assert_eq!(door.json("/v1/catalog/service/web").await, json!([]));
    let two = json!([delete[0], delete[0]]);
    assert_eq!(door.put("/v1/txn", two).await.status, 501);
}
