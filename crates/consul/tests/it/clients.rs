//! The calls of clients that people have, in their order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::{Door, all, keys};

#[tokio::test]
async fn traefik_and_prometheus_discover() {
    let door = Door::open().await;
    let body = json!({"ID": "w1", "Name": "web", "Address": "10.0.0.1", "Port": 80, "Tags": ["traefik.enable=true"]});
    door.done("/v1/agent/service/register", body).await;
    let own = door.json("/v1/agent/self").await;
    assert_eq!(own["Config"]["Datacenter"], "dc1");
    let services = door.get("/v1/catalog/services?dc=dc1&stale&index=0&wait=525s&node-meta=").await;
    assert_eq!(services.json()["web"], json!(["traefik.enable=true"]));
    let rows = door.json("/v1/health/service/web?dc=dc1&stale&index=0&wait=525s&tag=&filter=").await;
    assert_eq!(rows[0]["Node"]["Datacenter"], "dc1");
    let (address, port) = (&rows[0]["Service"]["Address"], &rows[0]["Service"]["Port"]);
    assert_eq!((address, port), (&json!("10.0.0.1"), &json!(80)));
    let state = door.get("/v1/health/state/any?consistent=").await;
    // A watch without `wait`; the change of a service ends both.
    let watched = [
        format!("/v1/catalog/services?index={}", services.index()),
        format!("/v1/health/state/any?index={}", state.index()),
    ];
    let watches = async { tokio::join!(door.get(&watched[0]), door.get(&watched[1])) };
    let change = async {
        door.until_waiting(2).await;
        let body = json!({"Name": "api", "Port": 1, "Check": {"TTL": "10s"}});
        door.done("/v1/agent/service/register", body).await;
    };
    let ((services, state), ()) = tokio::join!(watches, change);
    assert_eq!(keys(&services.json()), ["api", "consul", "web"]);
    assert_eq!(all(&state.json(), "/CheckID"), ["serfHealth", "service:api"]);
    // The provider for keys.
    door.done("/v1/kv/traefik/http/routers/a/rule", "Host(`a`)").await;
    let pairs = door.json("/v1/kv/traefik?consistent=&recurse=&wait=3000ms").await;
    assert_eq!(pairs[0]["Value"], STANDARD.encode("Host(`a`)"));
}

#[tokio::test]
async fn spring_registers_beats_and_reads_its_configuration() {
    let door = Door::open().await;
    let body = json!({
        "ID": "app-8080", "Name": "app", "Tags": [], "Address": "10.0.0.7", "Meta": {"secure": "false"}, "Port": 8080,
        "Check": {"TTL": "30s", "DeregisterCriticalServiceAfter": "10s"}, "EnableTagOverride": null, "Weights": null,
    });
    door.done("/v1/agent/service/register?token=t", body).await;
    door.done("/v1/agent/check/pass/service:app-8080?token=t", "").await;
    let rows = door.json("/v1/health/service/app?passing=true&wait=2s").await;
    assert_eq!(all(&rows, "/Service/ID"), ["app-8080"]);
    assert_eq!(rows[0]["Service"]["Meta"]["secure"], "false");
    door.done("/v1/kv/config/application/data", "a: 1").await;
    let config = door.get("/v1/kv/config/application/?recurse&wait=55s").await;
    assert_eq!(config.status, 200, "{config:?}");
    door.done("/v1/agent/service/maintenance/app-8080?enable=true", "").await;
    assert_eq!(door.json("/v1/health/service/app?passing=true").await, json!([]));
    door.done("/v1/agent/service/deregister/app-8080", "").await;
    // Whoever was forgotten registers again on 404.
    assert_eq!(door.put("/v1/agent/check/pass/service:app-8080", "").await.status, 404);
}

#[tokio::test]
async fn patroni_elects_a_leader() {
    let door = Door::open().await;
    let min = door.json("/v1/agent/self").await["Config"]["SessionTTLMin"].as_f64().unwrap();
    assert!((min / 1e9 - 10.0).abs() < f64::EPSILON);
    assert_eq!(door.get("/v1/kv/service/pg/?recurse=1").await.status, 404);
    let session = json!({"name": "pg-node1", "lockdelay": "0.001s", "behavior": "delete", "ttl": "15.0s"});
    let session = door.done("/v1/session/create", session).await.json()["ID"].as_str().unwrap().to_owned();
    assert_eq!(door.put("/v1/kv/service/pg/initialize?cas=0", "").await.text(), "true");
    assert_eq!(door.put("/v1/kv/service/pg/initialize?cas=0", "").await.text(), "false");
    let member = format!("/v1/kv/service/pg/members/node1?acquire={session}");
    assert_eq!(door.put(&member, "{}").await.text(), "true");
    let leader = format!("/v1/kv/service/pg/leader?acquire={session}");
    assert_eq!(door.put(&leader, "node1").await.text(), "true");
    door.done(&format!("/v1/session/renew/{session}"), "").await;
    let rows = door.json("/v1/kv/service/pg/?recurse=1&consistent=1").await;
    assert_eq!(
        all(&rows, "/Key"),
        ["service/pg/initialize", "service/pg/leader", "service/pg/members/node1",]
    );
    let index = rows[1]["ModifyIndex"].as_u64().unwrap();
    let wait = format!("/v1/kv/service/pg/leader?index={index}&wait=10s");
    let ended = async {
        door.until_waiting(1).await;
        door.done(&format!("/v1/session/destroy/{session}"), "").await;
    };
    let (gone, ()) = tokio::join!(door.get(&wait), ended);
    assert_eq!(gone.status, 404);
    assert_eq!(door.put(&format!("/v1/session/renew/{session}"), "").await.status, 404);
    let refused = door.put(&leader, "node1").await;
    assert!(refused.status == 500 && refused.text().starts_with("invalid session"), "{refused:?}");
}
