//! Proxies of Consul's mesh, as they are registered and found.

use serde_json::{Value, json};

use crate::support::{Door, all, keys};

#[tokio::test]
async fn a_proxy_is_kept_as_it_was_registered_and_found_for_its_service() {
    let door = Door::open().await;
    door.done("/v1/agent/service/register", json!({"Name": "web", "Port": 80})).await;
    let proxy = json!({
        "Name": "web-proxy", "Port": 21000, "Kind": "connect-proxy", "Meta": {"mine": "x"},
        "proxy": {
            "destination_service_name": "web", "Config": {"long": "x".repeat(3000)},
            "upstreams": [{"destination_name": "db", "local_bind_port": 9191}],
        },
        "Locality": {"Region": "r", "Zone": "z"},
    });
    door.done("/v1/agent/service/register", proxy).await;
    let shown = &door.json("/v1/agent/services").await["web-proxy"];
    assert_eq!((&shown["Kind"], &shown["Meta"]), (&json!("connect-proxy"), &json!({"mine": "x"})));
    assert_eq!(shown["Locality"], json!({"Region": "r", "Zone": "z"}));
    assert_eq!(shown["Proxy"]["DestinationServiceName"], "web");
    assert_eq!(shown["Proxy"]["Config"]["long"].as_str().unwrap().len(), 3000);
    assert_eq!(shown["Proxy"]["Upstreams"], json!([{"DestinationName": "db", "LocalBindPort": 9191}]));
    assert_eq!(shown["Proxy"]["Mode"], "");
    for path in ["/v1/health/connect/web", "/v1/health/connect/WEB?passing"] {
        let found = door.json(path).await;
        assert_eq!(all(&found, "/Service/ID"), ["web-proxy"], "{path}");
        assert_eq!(found[0]["Service"]["Proxy"]["DestinationServiceName"], "web");
    }
    let rows = door.json("/v1/catalog/connect/web").await;
    assert_eq!(
        (all(&rows, "/ServiceKind"), all(&rows, "/ServiceName")),
        (vec!["connect-proxy".into()], vec!["web-proxy".into()])
    );
    assert_eq!(door.json("/v1/health/connect/web-proxy").await, json!([]));
    door.done("/v1/agent/service/register", json!({"Name": "own", "Connect": {"Native": true}})).await;
    let native = door.json("/v1/health/connect/own").await;
    assert_eq!(
        (all(&native, "/Service/ID"), &native[0]["Service"]["Connect"]),
        (vec!["own".into()], &json!({"Native": true}))
    );
    let plain = &door.json("/v1/health/service/web").await[0]["Service"];
    assert_eq!((&plain["Kind"], &plain["Connect"]), (&json!(""), &json!({})));
}

#[tokio::test]
async fn a_sidecar_comes_and_goes_with_its_service() {
    let door = Door::open().await;
    let service = |id: &str, connect: Value| json!({"ID": id, "Name": "web", "Port": 80, "Tags": ["t"], "Meta": {"a": "b"}, "Connect": connect});
    let path = "/v1/agent/service/register";
    door.done(path, service("w1", json!({"SidecarService": {}}))).await;
    door.done(
        path,
        service(
            "w2",
            json!({"sidecar_service": {"Port": 0, "Proxy": {"Upstreams": [{"DestinationName": "db"}]}}}),
        ),
    )
    .await;
    let services = door.json("/v1/agent/services").await;
    assert_eq!(keys(&services), ["w1", "w1-sidecar-proxy", "w2", "w2-sidecar-proxy"]);
    let sidecar = &services["w2-sidecar-proxy"];
    assert_eq!((&services["w1-sidecar-proxy"]["Port"], &sidecar["Port"]), (&json!(21000), &json!(21001)));
    assert_eq!(
        (&sidecar["Service"], &sidecar["Tags"], &sidecar["Meta"]),
        (&json!("web-sidecar-proxy"), &json!(["t"]), &json!({"a": "b"}))
    );
    let wanted = json!({
        "DestinationServiceName": "web", "DestinationServiceID": "w2", "LocalServiceAddress": "127.0.0.1",
        "LocalServicePort": 80, "Upstreams": [{"DestinationName": "db"}], "Mode": "", "MeshGateway": {}, "Expose": {},
    });
    assert_eq!(sidecar["Proxy"], wanted);
    let checks = door.json("/v1/agent/checks").await;
    assert_eq!(
        keys(&checks),
        [
            "service:w1-sidecar-proxy:1",
            "service:w1-sidecar-proxy:2",
            "service:w2-sidecar-proxy:1",
            "service:w2-sidecar-proxy:2"
        ]
    );
    assert_eq!(checks["service:w1-sidecar-proxy:1"]["Name"], "Connect Sidecar Listening");
    // Registered again, it keeps its port; without a sidecar it has none any more.
    door.done(path, service("w2", json!({"SidecarService": {}}))).await;
    assert_eq!(door.json("/v1/agent/services").await["w2-sidecar-proxy"]["Port"], 21001);
    door.done(path, service("w2", json!({}))).await;
    assert_eq!(keys(&door.json("/v1/agent/services").await), ["w1", "w1-sidecar-proxy", "w2"]);
    door.done("/v1/agent/service/deregister/w1", "").await;
    assert_eq!(keys(&door.json("/v1/agent/services").await), ["w2"]);
    // Who only has such a name stays.
    door.done(path, json!({"ID": "w2-sidecar-proxy", "Name": "other"})).await;
    door.done("/v1/agent/service/deregister/w2", "").await;
    assert_eq!(keys(&door.json("/v1/agent/services").await), ["w2-sidecar-proxy"]);
    for wrong in [
        json!({"SidecarService": {"ID": "x"}}),
        json!({"SidecarService": {"Connect": {"SidecarService": {}}}}),
    ] {
        assert_eq!(door.put(path, service("w3", wrong)).await.status, 400);
    }
    assert_eq!(
        keys(&door.json("/v1/agent/services").await),
        ["w2-sidecar-proxy"],
        "nothing of it is registered"
    );
}
