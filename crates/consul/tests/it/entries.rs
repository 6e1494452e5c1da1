//! `/v1/config` and what is made of it.

use serde_json::{Value, json};

use crate::support::{Door, all};

async fn wrote(door: &Door, path: &str, entry: Value) -> Value {
    door.done(path, entry).await.json()
}

#[tokio::test]
async fn an_entry_is_kept_compared_changed_and_removed() {
    let door = Door::open().await;
    let entry = |protocol: &str| json!({"kind": "service-defaults", "name": "Web#1", "Protocol": protocol});
    assert_eq!(wrote(&door, "/v1/config?cas=0", entry("http")).await, true);
    assert_eq!(wrote(&door, "/v1/config?cas=0", entry("grpc")).await, false, "there is one");
    let path = "/v1/config/service-defaults/web%231";
    let first = door.json(path).await;
    let index = first["ModifyIndex"].as_u64().unwrap();
    let wanted = json!({
        "Kind": "service-defaults", "Name": "Web#1", "Protocol": "http", "CreateIndex": index, "ModifyIndex": index,
    });
    assert_eq!(first, wanted);
    assert_eq!(wrote(&door, "/v1/config", entry("http")).await, true);
    assert_eq!(door.json(path).await, first, "nothing has changed");
    assert_eq!(wrote(&door, &format!("/v1/config?cas={index}"), entry("grpc")).await, true);
    let second = door.json(path).await;
    assert_eq!((&second["Protocol"], &second["CreateIndex"]), (&json!("grpc"), &json!(index)));
    let changed = second["ModifyIndex"].as_u64().unwrap();
    assert!(changed > index);
    assert_eq!(door.delete(&format!("{path}?cas={index}")).await.json(), json!(false));
    assert_eq!(door.delete(&format!("{path}?cas={changed}")).await.json(), json!(true));
    let gone = door.get(path).await;
    assert_eq!((gone.status, gone.index() > changed), (404, true));
    assert_eq!(door.delete(path).await.json(), json!({}), "it is gone already");
    assert_eq!(wrote(&door, "/v1/config", entry("tcp")).await, true);
    let again = door.json(path).await;
    assert_eq!(again["CreateIndex"], again["ModifyIndex"], "another one");
}

#[tokio::test]
async fn entries_of_a_kind_are_listed_filtered_and_followed() {
    let door = Door::open().await;
    let entry = |name: &str| json!({"Kind": "service-defaults", "Name": name, "Protocol": name});
    for name in ["b", "a"] {
        wrote(&door, "/v1/config", entry(name)).await;
    }
    wrote(&door, "/v1/config", json!({"Kind": "proxy-defaults", "Name": "global"})).await;
    let list = door.get("/v1/config/service-defaults").await;
    assert_eq!(all(&list.json(), "/Name"), ["a", "b"]);
    let filtered = door.json("/v1/config/service-defaults?filter=Name%20==%20b").await;
    assert_eq!(all(&filtered, "/Protocol"), ["b"]);
    let path = format!("/v1/config/service-defaults?index={}&wait=10m", list.index());
    let changes = async {
        door.until_waiting(1).await;
        // Another kind is no reason to answer.
        wrote(&door, "/v1/config", json!({"Kind": "mesh"})).await;
        assert_eq!(door.config.waiting(), 1);
        wrote(&door, "/v1/config", entry("c")).await;
    };
    let (next, ()) = tokio::join!(door.get(&path), changes);
    assert_eq!(all(&next.json(), "/Name"), ["a", "b", "c"]);
    let gone = format!("/v1/config/service-defaults/c?index={}&wait=10m", next.index());
    let (gone, _) = tokio::join!(door.get(&gone), async {
        door.until_waiting(1).await;
        door.delete("/v1/config/service-defaults/c").await
    });
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn gateways_lead_to_the_services_of_their_entries() {
    let door = Door::open().await;
    for (name, kind) in [("web", ""), ("api", ""), ("edge", "ingress-gateway")] {
        door.done("/v1/agent/service/register", json!({"Name": name, "Kind": kind})).await;
    }
    assert_eq!(door.json("/v1/catalog/gateway-services/edge").await, json!([]));
    let ingress = json!({
        "Kind": "ingress-gateway", "Name": "edge", "Listeners": [
            {"Port": 8080, "Protocol": "http", "Services": [{"Name": "web", "Hosts": ["a.example"]}]},
            {"Port": 9090, "Services": [{"Name": "*"}]},
        ],
    });
    let first = door.get("/v1/catalog/gateway-services/edge").await;
    let path = format!("/v1/catalog/gateway-services/edge?index={}&wait=10m", first.index());
    let change = async {
        door.until_waiting(2).await;
        wrote(&door, "/v1/config", ingress).await;
    };
    let (found, ()) = tokio::join!(door.get(&path), change);
    let found = found.json();
    assert_eq!(all(&found, "/Service/Name"), ["web", "api", "web"], "gateways are no services");
    assert_eq!((&found[0]["Port"], &found[0]["Protocol"]), (&json!(8080), &json!("http")));
    assert_eq!((&found[0]["Hosts"], &found[0]["FromWildcard"]), (&json!(["a.example"]), &Value::Null));
    assert_eq!((&found[1]["Protocol"], &found[1]["FromWildcard"]), (&json!("tcp"), &json!(true)));
    let leading = door.json("/v1/health/ingress/web").await;
    assert_eq!(all(&leading, "/Service/Kind"), ["ingress-gateway"]);
    let out =
        json!({"Kind": "terminating-gateway", "Name": "out", "Services": [{"Name": "legacy", "SNI": "l"}]});
    wrote(&door, "/v1/config", out).await;
    let found = door.json("/v1/catalog/gateway-services/out").await;
    assert_eq!(
        (all(&found, "/GatewayKind"), all(&found, "/SNI")),
        (vec!["terminating-gateway".into()], vec!["l".into()])
    );
}

#[tokio::test]
async fn chains_follow_the_entries() {
    let door = Door::open().await;
    let chain = door.get("/v1/discovery-chain/web").await;
    assert_eq!(chain.json()["Chain"]["StartNode"], "resolver:web.default.default.dc1");
    let path = format!("/v1/discovery-chain/web?index={}&wait=10m", chain.index());
    let redirect = json!({"Kind": "service-resolver", "Name": "web", "Redirect": {"Service": "next"}});
    let change = async {
        door.until_waiting(1).await;
        wrote(&door, "/v1/config", redirect).await;
    };
    let (chain, ()) = tokio::join!(door.get(&path), change);
    assert_eq!(chain.json()["Chain"]["StartNode"], "resolver:next.default.default.dc1");
    let body = json!({"OverrideProtocol": "http"}).to_string();
    let overridden = door.send(http::Method::POST, "/v1/discovery-chain/web", body).await;
    assert_eq!(overridden.json()["Chain"]["Protocol"], "http");
    assert_eq!(door.get("/v1/discovery-chain/web?compile-dc=dc2").await.status, 500);
}

#[tokio::test]
async fn intentions_are_entries_seen_one_by_one() {
    let door = Door::open().await;
    let exact =
        |source: &str, to: &str| format!("/v1/connect/intentions/exact?source={source}&destination={to}");
    let allowed = |source: &str, to: &str| {
        let path = format!("/v1/connect/intentions/check?source={source}&destination={to}");
        let door = &door;
        async move { door.json(&path).await["Allowed"].clone() }
    };
    assert_eq!(allowed("web", "db").await, true, "nobody says anything");
    door.done(&exact("*", "*"), json!({"Action": "deny"})).await;
    door.done(&exact("web", "db"), json!({"Action": "allow", "Description": "d", "Meta": {"a": "b"}})).await;
    door.done(
        &exact("job", "db"),
        json!({"Permissions": [{"Action": "allow", "HTTP": {"PathPrefix": "/"}}]}),
    )
    .await;
    for (source, wanted) in [("web", true), ("job", false), ("other", false)] {
        assert_eq!(allowed(source, "db").await, wanted, "{source}");
    }
    let one = door.json(&exact("web", "default/db")).await;
    assert_eq!(
        (&one["Action"], &one["Precedence"], &one["Meta"]),
        (&json!("allow"), &json!(9), &json!({"a": "b"}))
    );
    let entry = door.json("/v1/config/service-intentions/db").await;
    assert_eq!(all(&entry["Sources"], "/Name"), ["job", "web"]);
    assert_eq!(all(&door.json("/v1/connect/intentions").await, "/SourceName"), ["job", "web", "*"]);
    let matched = door.json("/v1/connect/intentions/match?by=source&name=web&name=x").await;
    assert_eq!(
        (all(&matched["web"], "/SourceName"), all(&matched["x"], "/SourceName")),
        (vec!["web".into(), "*".into()], vec!["*".into()])
    );
    for source in ["web", "job"] {
        assert_eq!(door.delete(&exact(source, "db")).await.json(), json!(true));
        assert_eq!(door.get(&exact(source, "db")).await.status, 404);
    }
    assert_eq!(door.get("/v1/config/service-intentions/db").await.status, 404, "nothing is left of it");
    let body = json!({"Action": "maybe"});
    assert_eq!(door.put(&exact("web", "db"), body).await.status, 400);
}
