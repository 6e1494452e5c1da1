//! Chains of entries that are made up.

use std::time::Duration;

use serde_json::{Value, json};

use super::compile::{Compiler, Overrides};
use crate::kept::Kept;

/// The chain of `web` for these entries, or why there is none.
fn chain_with(entries: &Value, overrides: Overrides) -> Result<Value, String> {
    let find = |kind: &str, name: &str| {
        let mut all = entries.as_array().unwrap().iter();
        let found = all.find(|entry| entry["Kind"] == kind && entry["Name"] == name);
        Ok(found.map(|entry| Kept::new(entry.as_object().unwrap().clone())))
    };
    Compiler::new(&find, "dc1", overrides).compile("web").map_err(|refusal| refusal.text)
}

fn chain(entries: &Value) -> Result<Value, String> {
    chain_with(entries, Overrides::default())
}

fn http(service: &str) -> Value {
    json!({"Kind": "service-defaults", "Name": service, "Protocol": "http"})
}

#[test]
fn without_entries_a_service_is_itself() {
    let chain = chain(&json!([])).unwrap();
    assert_eq!((&chain["Protocol"], &chain["Default"]), (&json!("tcp"), &json!(true)));
    assert_eq!(chain["StartNode"], "resolver:web.default.default.dc1");
    let node = &chain["Nodes"]["resolver:web.default.default.dc1"];
    let resolver = json!({"Default": true, "ConnectTimeout": "5s", "Target": "web.default.default.dc1"});
    assert_eq!(node["Resolver"], resolver);
    assert_eq!(chain["Targets"]["web.default.default.dc1"]["Service"], "web");
}

#[test]
fn the_protocol_is_the_services_or_that_of_all_or_what_the_client_wants() {
    let all = json!({"Kind": "proxy-defaults", "Name": "global", "Config": {"protocol": "grpc"}});
    assert_eq!(chain(&json!([all])).unwrap()["Protocol"], "grpc");
    assert_eq!(chain(&json!([all, http("web")])).unwrap()["Protocol"], "http");
    let overrides = Overrides {
        protocol: Some("http2".into()),
        connect_timeout: Some(Duration::from_secs(7)),
        mesh_gateway: Some("local".into()),
    };
    let chain = chain_with(&json!([http("web")]), overrides).unwrap();
    assert_eq!(chain["Protocol"], "http2");
    let target = &chain["Targets"]["web.default.default.dc1"];
    assert_eq!((&target["ConnectTimeout"], &target["MeshGateway"]["Mode"]), (&json!("7s"), &json!("local")));
}

#[test]
fn requests_are_routed_split_and_resolved() {
    let entries = json!([
        http("web"), http("api"), http("other"),
        {"Kind": "service-router", "Name": "web", "Routes": [
            {"Match": {"HTTP": {"PathPrefix": "/api"}}, "Destination": {"service": "api"}},
            {"Destination": {"Service": "web", "ServiceSubset": "v2"}},
        ]},
        {"Kind": "service-splitter", "Name": "web", "Splits": [
            {"Weight": 90, "ServiceSubset": "v1"}, {"Weight": 10, "Service": "api"},
        ]},
        {"Kind": "service-splitter", "Name": "api", "Splits": [
            {"Weight": 50}, {"Weight": 50, "Service": "other"},
        ]},
        {"Kind": "service-resolver", "Name": "web", "DefaultSubset": "v1", "ConnectTimeout": "3s",
         "RequestTimeout": "15s", "Subsets": {"v1": {"Filter": "a"}, "v2": {}},
         "Failover": {"v1": {"ServiceSubset": "v2"}, "*": {"Targets": [{"Service": "other"}]}}},
    ]);
    let chain = chain(&entries).unwrap();
    assert_eq!(
        (&chain["StartNode"], &chain["Default"]),
        (&json!("router:web.default.default"), &json!(false))
    );
    let nodes = &chain["Nodes"];
    let routes = nodes["router:web.default.default"]["Routes"].as_array().unwrap();
    let next: Vec<_> = routes.iter().map(|route| route["NextNode"].as_str().unwrap()).collect();
    let v2 = "resolver:v2.web.default.default.dc1";
    assert_eq!(next, ["splitter:api.default.default", v2, "splitter:web.default.default"]);
    let splits = json!([
        {"Weight": 90.0, "NextNode": "resolver:v1.web.default.default.dc1"},
        {"Weight": 5.0, "NextNode": "resolver:api.default.default.dc1"},
        {"Weight": 5.0, "NextNode": "resolver:other.default.default.dc1"},
    ]);
    assert_eq!(nodes["splitter:web.default.default"]["Splits"], splits, "one within another is flat");
    let v1 = &nodes["resolver:v1.web.default.default.dc1"]["Resolver"];
    assert_eq!((&v1["ConnectTimeout"], &v1["RequestTimeout"]), (&json!("3s"), &json!("15s")));
    assert_eq!(v1["Failover"]["Targets"], json!(["v2.web.default.default.dc1"]));
    assert_eq!(nodes[v2]["Resolver"]["Failover"]["Targets"], json!(["other.default.default.dc1"]));
    assert_eq!(chain["Targets"]["v1.web.default.default.dc1"]["Subset"], json!({"Filter": "a"}));
}

#[test]
fn redirects_are_followed() {
    let entries = json!([
        {"Kind": "service-resolver", "Name": "web", "Redirect": {"Service": "next"}},
        {"Kind": "service-resolver", "Name": "next", "Redirect": {"Service": "last"}},
    ]);
    assert_eq!(chain(&entries).unwrap()["StartNode"], "resolver:last.default.default.dc1");
}

#[test]
fn what_leads_nowhere_is_refused() {
    let split = |of: &str, to: &str| json!({"Kind": "service-splitter", "Name": of, "Splits": [{"Weight": 100, "Service": to}]});
    let redirect =
        |of: &str, to: &str| json!({"Kind": "service-resolver", "Name": of, "Redirect": {"Service": to}});
    for (entries, wanted) in [
        (json!([redirect("web", "a"), redirect("a", "web")]), "lead in a circle"),
        (json!([http("web"), http("a"), split("web", "a"), split("a", "web")]), "lead in a circle"),
        (json!([split("web", "a")]), "does not permit advanced routing"),
        (json!([http("web"), split("web", "a")]), "inconsistent protocols"),
        (
            json!([http("web"), {"Kind": "service-splitter", "Name": "web",
                   "Splits": [{"Weight": 100, "ServiceSubset": "v1"}]}]),
            "does not have a subset named \"v1\"",
        ),
    ] {
        let text = chain(&entries).unwrap_err();
        assert!(text.contains(wanted), "{entries}: {text}");
    }
}
