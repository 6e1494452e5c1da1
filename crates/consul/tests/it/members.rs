//! The members of the store, and what may be asked of the platform.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use trellis_consul::{Options, Platform};
use trellis_core::{Error, codes};
use trellis_runtime::Shutdown;
use trellis_storage::members;
use trellis_testkit::{Postgres, wait_until};

use crate::support::{Door, LIMIT, all, keys};

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_shares_the_store_is_seen_until_it_leaves() {
    let server = Postgres::shared().unwrap();
    let url = server.fresh_database().unwrap();
    let open = |name: &'static str, port: u16| {
        let database = trellis_storage::Options::url(&url).unwrap();
        // Longer than a busy machine may stop one of them.
        let lease = members::Options {
            ttl: Duration::from_secs(30),
            ..members::Options::new(name, format!("http://127.0.0.1:{port}"))
        };
        Door::on((database, None), lease, Options::default(), Platform::default())
    };
    let (one, two) = (open("one", 7001).await, open("two", 7002).await);
    // Of the member, and of its node.
    let both = || async {
        let members = all(&one.json("/v1/agent/members").await, "/Name");
        members == ["one", "two"] && one.registry.node(&"two".parse().unwrap()).is_some()
    };
    wait_until("one has heard of two", LIMIT, both).await.unwrap();

    assert_eq!(one.json("/v1/status/peers").await, json!(["127.0.0.1:7001", "127.0.0.1:7002"]));
    assert_eq!(two.json("/v1/status/leader").await, "127.0.0.1:7002", "whoever is asked does what is asked");
    let servers = one.json("/v1/operator/raft/configuration").await["Servers"].clone();
    assert_eq!(all(&servers, "/Node"), ["one", "two"]);
    assert_eq!((&servers[0]["Leader"], &servers[1]["Leader"]), (&json!(true), &json!(false)));
    let health = one.json("/v1/operator/autopilot/health").await;
    assert_eq!((&health["Healthy"], &health["FailureTolerance"]), (&json!(true), &json!(1)));
    let state = one.json("/v1/operator/autopilot/state").await;
    let ids: Vec<&str> =
        health["Servers"].as_array().unwrap().iter().filter_map(|s| s["ID"].as_str()).collect();
    assert_eq!((&state["Voters"], &state["Leader"]), (&json!(ids), &json!(ids[0])));
    assert_eq!(
        (&state["Servers"][ids[0]]["Name"], &state["Servers"][ids[1]]["Name"]),
        (&json!("one"), &json!("two"))
    );
    assert_eq!(
        (&state["Servers"][ids[1]]["Status"], &state["FailureTolerance"]),
        (&json!("voter"), &json!(1))
    );
    let service = one.get("/v1/health/service/consul?passing").await;
    assert_eq!(all(&service.json(), "/Node/Node"), ["one", "two"]);
    assert_eq!(all(&one.json("/v1/catalog/service/consul").await, "/ServiceID"), ["consul", "consul"]);
    assert_eq!(keys(&one.json("/v1/catalog/node/two").await["Services"]), ["consul"]);

    let path = format!("/v1/health/service/consul?index={}&wait=10m", service.index());
    let left = async {
        one.until_waiting(1).await;
        two.stop().await;
    };
    let (mut seen, ()) = tokio::join!(one.get(&path), left);
    // Its node may have been told of first.
    while all(&seen.json(), "/Node/Node") != ["one"] {
        let path = format!("/v1/health/service/consul?index={}&wait=10m", seen.index());
        seen = one.get(&path).await;
    }
    assert_eq!(all(&one.json("/v1/agent/members").await, "/Name"), ["one"]);
    assert_eq!(one.json("/v1/operator/autopilot/health").await["FailureTolerance"], 0);
}

#[tokio::test]
async fn the_platforms_own_service_is_in_the_catalog_and_nowhere_else() {
    let door = Door::open().await;
    assert_eq!(door.json("/v1/catalog/services").await, json!({"consul": []}));
    assert_eq!(
        door.json("/v1/catalog/services?filter=ServiceName%20==%20consul").await,
        json!({"consul": []})
    );
    let rows = door.json("/v1/health/service/Consul?passing").await;
    assert_eq!((all(&rows, "/Service/ID"), &rows[0]["Service"]["Port"]), (vec!["consul".into()], &json!(0)));
    assert_eq!(all(&rows[0]["Checks"], "/CheckID"), ["serfHealth"]);
    assert_eq!(
        all(&door.json("/v1/catalog/node-services/trellis").await["Services"], "/Service"),
        ["consul"]
    );
    assert_eq!(door.json("/v1/health/checks/consul").await, json!([]));
    assert_eq!(door.json("/v1/agent/services").await, json!({}));
    assert_eq!(door.json("/v1/catalog/services?ns=other").await, json!({}));
    assert!(door.registry.services().is_empty());
    // Who takes its name stands beside it.
    door.done("/v1/agent/service/register", json!({"ID": "mine", "Name": "consul", "Tags": ["x"]})).await;
    assert_eq!(all(&door.json("/v1/catalog/service/consul").await, "/ServiceID"), ["consul", "mine"]);
    assert_eq!(door.json("/v1/catalog/services").await, json!({"consul": ["x"]}));
    // Its node goes out for maintenance.
    door.done("/v1/agent/maintenance?enable=true", "").await;
    assert_eq!(door.json("/v1/health/service/consul?passing").await, json!([]));
}

#[tokio::test]
async fn settings_of_autopilot_are_kept() {
    let door = Door::open().await;
    let path = "/v1/operator/autopilot/configuration";
    let first = door.json(path).await;
    assert_eq!((&first["CleanupDeadServers"], &first["ModifyIndex"]), (&json!(true), &json!(0)));
    let wanted = json!({"CleanupDeadServers": false, "MinQuorum": 3});
    assert_eq!(door.done(&format!("{path}?cas=7"), &wanted).await.json(), json!(false));
    assert_eq!(door.json(path).await, first);
    assert_eq!(door.done(path, &wanted).await.json(), json!(true));
    let second = door.json(path).await;
    assert_eq!((&second["CleanupDeadServers"], &second["MinQuorum"]), (&json!(false), &json!(3)));
    let index = second["ModifyIndex"].as_u64().unwrap();
    assert_eq!(door.done(&format!("{path}?cas={index}"), json!({})).await.json(), json!(true));
    assert_eq!(door.put(path, json!({"MinQuorum": -1})).await.status, 400);
}

#[tokio::test]
async fn the_platform_stops_and_reads_anew_only_if_it_lets_clients_ask_for_it() {
    let (stop, asked) = (Shutdown::new(), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    let reload = move || match count.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(()),
        _ => Err(Error::new(codes::INVALID_MANIFEST, "trellis.toml has 1 mistake(s)")),
    };
    let platform = Platform { leave: Some(stop.clone()), reload: Some(Arc::new(reload)) };
    let door = Door::of(Options::default(), platform).await;
    door.done("/v1/agent/reload", "").await;
    let refused = door.put("/v1/agent/reload", "").await;
    assert_eq!((refused.status, refused.header("trellis-code")), (500, "TRL3001"));
    assert_eq!(refused.text(), "trellis.toml has 1 mistake(s)");
    assert_eq!(door.get("/v1/agent/leave").await.status, 405);
    assert!(!stop.is_triggered());
    assert_eq!(door.done("/v1/agent/leave", "").await.text(), "");
    assert!(stop.is_triggered() && asked.load(Ordering::Relaxed) == 2);
}

#[tokio::test]
async fn coordinates_are_kept_for_nodes_that_are_there() {
    let door = Door::open().await;
    let servers = door.json("/v1/coordinate/datacenters").await;
    assert_eq!(servers[0]["Coordinates"][0]["Node"], "trellis");
    assert_eq!(servers[0]["Coordinates"][0]["Coord"]["Error"], 1.5);
    let unknown = door.get("/v1/coordinate/node/trellis").await;
    assert_eq!(unknown.status, 404);
    let of = |node: &str| json!({"Node": node, "Coord": {"Adjustment": 0, "Error": 0.5, "Height": 1e-4, "Vec": [1, 0, 0, 0, 0, 0, 0, 0]}});
    let path = format!("/v1/coordinate/node/trellis?index={}&wait=10m", unknown.index());
    let (known, _) = tokio::join!(door.get(&path), door.done("/v1/coordinate/update", of("trellis")));
    assert_eq!(
        (&known.json()[0]["Coord"]["Error"], &known.json()[0]["Coord"]["Vec"][0]),
        (&json!(0.5), &json!(1.0))
    );
    assert_eq!(all(&door.json("/v1/coordinate/nodes").await, "/Node"), ["trellis"]);
    assert_eq!(door.json("/v1/coordinate/datacenters").await[0]["Coordinates"][0]["Coord"]["Error"], 0.5);
    let refused = door.put("/v1/coordinate/update", of("nobody")).await;
    assert_eq!((refused.status, refused.text()), (400, "the node nobody is not registered"));
    let short = json!({"Node": "trellis", "Coord": {"Adjustment": 0, "Error": 1, "Height": 0, "Vec": [0]}});
    assert_eq!(door.put("/v1/coordinate/update", short).await.status, 400);
}

#[tokio::test]
async fn the_state_of_autopilot_has_everybody_by_id() {
    let door = Door::open().await;
    let state = door.json("/v1/operator/autopilot/state").await;
    let all = ["FailureTolerance", "Healthy", "Leader", "OptimisticFailureTolerance", "Servers", "Voters"];
    assert_eq!(keys(&state), all);
    let id = state["Leader"].as_str().unwrap();
    assert_eq!((keys(&state["Servers"]), &state["Voters"]), (vec![id], &json!([id])));
    let server = &state["Servers"][id];
    let of_health = door.json("/v1/operator/autopilot/health").await["Servers"][0].clone();
    for same in ["ID", "Name", "Address", "Version", "Healthy", "LastContact", "LastTerm", "StableSince"] {
        assert!(!server[same].is_null() && server[same] == of_health[same], "{same}: {state}");
    }
    let said = ["NodeStatus", "NodeType", "Status"].map(|name| server[name].as_str().unwrap());
    assert_eq!((said, keys(&server["Meta"])), (["alive", "voter", "leader"], vec![]));
    assert!(server.get("SerfStatus").is_none() && server.get("Voter").is_none());
    assert_eq!(door.put("/v1/operator/autopilot/state", "").await.status, 405);
}
