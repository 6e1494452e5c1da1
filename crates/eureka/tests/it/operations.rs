//! One operation after the other.

use http::Method;
use serde_json::{Value, json};
use trellis_core::Status;
use trellis_registry::{Lease, Name, NodeRegistration, Registration, ServiceKey};

use super::support::{Door, JSON, XML, instance, xml};

fn of(service: &str, id: &str) -> Registration {
    Registration::new(id.parse().unwrap(), service.parse::<Name>().unwrap(), "10.0.0.9", 80)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_at_every_path() {
    for (prefix, slash) in [("/eureka", ""), ("/eureka", "/"), ("/eureka/v2", ""), ("/eureka/v2", "/")] {
        let door = Door::open().await;
        let path = |rest: &str| match rest.split_once('?') {
            Some((path, query)) => format!("{prefix}{path}{slash}?{query}"),
            None => format!("{prefix}{rest}{slash}"),
        };
        let json = instance("orders", "a:1", "UP").to_string();
        assert_eq!(door.post(&path("/apps/ORDERS"), JSON, json).await.status, 204);
        assert_eq!(door.post(&path("/apps/orders"), XML, xml("orders", "b", "UP")).await.status, 204);
        for (method, rest, status) in [
            (Method::GET, "/apps", 200),
            (Method::GET, "/apps/delta", 200),
            (Method::GET, "/apps/Orders", 200),
            (Method::GET, "/apps/users", 404),
            (Method::GET, "/apps/orders/a%3A1", 200),
            (Method::GET, "/apps/orders/c", 404),
            (Method::GET, "/apps/users/b", 404),
            (Method::GET, "/instances/b", 200),
            (Method::GET, "/instances/c", 404),
            (Method::GET, "/vips/ORDERS", 200),
            (Method::GET, "/vips/none", 404),
            (Method::GET, "/svips/orders", 200),
            (Method::GET, "/status", 200),
            (Method::PUT, "/apps/orders/b", 200),
            (Method::PUT, "/apps/orders/b?status=UP&lastDirtyTimestamp=1700000000002", 200),
            (Method::PUT, "/apps/orders/b?overriddenstatus=UP&status=", 200),
            (Method::PUT, "/apps/orders/c", 404),
            (Method::PUT, "/apps/orders/b/status?value=OUT_OF_SERVICE", 200),
            (Method::PUT, "/apps/orders/c/status?value=UP", 404),
            (Method::DELETE, "/apps/orders/b/status?value=UP", 200),
            (Method::DELETE, "/apps/orders/c/status", 404),
            (Method::PUT, "/apps/orders/b/metadata?k=v", 200),
            (Method::PUT, "/apps/orders/c/metadata?k=v", 404),
            (Method::GET, "/lastn", 501),
            (Method::DELETE, "/apps/orders/b", 200),
            (Method::DELETE, "/apps/orders/b", 404),
            (Method::PATCH, "/apps", 405),
            (Method::GET, "/nothing", 404),
        ] {
            let answer = door.call(method.clone(), &path(rest)).await;
            assert_eq!(answer.status, status, "{method} {}: {}", path(rest), answer.text());
        }
        for rest in ["/peerreplication/batch", "/asg/x/status"] {
            let answer = door.post(&format!("{prefix}{rest}"), JSON, "{}").await;
            assert_eq!(answer.status, 501);
            assert!(!answer.text().is_empty());
        }
        door.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_word_wins_and_survives_a_restart_until_it_is_taken_back() {
    let door = Door::open().await;
    door.register("orders", "a", "UP").await;
    let seen = async |door: &Door| {
        (door.member("orders", "a", "status").await, door.member("orders", "a", "overriddenStatus").await)
    };
    assert_eq!(seen(&door).await, (json!("UP"), json!("UNKNOWN")));
    assert_eq!(door.put("/eureka/apps/orders/a/status?value=OUT_OF_SERVICE").await, 200);
    let out = (json!("OUT_OF_SERVICE"), json!("OUT_OF_SERVICE"));
    assert_eq!(seen(&door).await, out);
    // Neither a heartbeat nor another registration changes that.
    assert_eq!(door.put("/eureka/apps/orders/a?status=UP").await, 200);
    door.register("orders", "a", "UP").await;
    assert_eq!(seen(&door).await, out);
    let door = Door::open_in(door.close().await, trellis_registry::Options::default()).await;
    assert_eq!(seen(&door).await, out);
    assert_eq!(door.delete("/eureka/apps/orders/a/status").await, 200);
    assert_eq!(seen(&door).await, (json!("UP"), json!("UNKNOWN")));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_added_and_replaced_and_nothing_else_changes() {
    let door = Door::open().await;
    door.register("orders", "a", "STARTING").await;
    let mut expected = door.get("/eureka/apps/orders/a").await.json();
    let path = "/eureka/apps/orders/a/metadata?zone=eu-2&color=green&color=blue&a%20b=";
    assert_eq!(door.put(path).await, 200);
    expected["instance"]["metadata"] =
        json!({"management.port": "8080", "zone": "eu-2", "color": "green", "a b": ""});
    assert_eq!(door.get("/eureka/apps/orders/a").await.json(), expected);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_is_understood() {
    let door = Door::open().await;
    for (said, seen) in [
        ("STARTING", "STARTING"),
        ("UP", "UP"),
        ("DOWN", "DOWN"),
        ("OUT_OF_SERVICE", "OUT_OF_SERVICE"),
        ("UNKNOWN", "STARTING"),
    ] {
        door.register("orders", "a", said).await;
        assert_eq!(door.member("orders", "a", "status").await, seen);
    }
    let mut silent = instance("orders", "a", "");
    silent["instance"].as_object_mut().unwrap().remove("status");
    door.announce("orders", &silent).await;
    assert_eq!(door.member("orders", "a", "status").await, "UP");
    assert_eq!(door.put("/eureka/apps/orders/a?status=DOWN").await, 200);
    assert_eq!(door.member("orders", "a", "status").await, "DOWN");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_of_what_has_changed_asks_for_a_registration() {
    let door = Door::open().await;
    door.register("orders", "a", "UP").await;
    for (dirty, status) in [("1700000000001", 200), ("1700000000002", 200), ("1700000000003", 404)] {
        assert_eq!(door.put(&format!("/eureka/apps/orders/a?lastDirtyTimestamp={dirty}")).await, status);
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_apps_may_use_the_same_id() {
    let door = Door::open().await;
    for app in ["orders", "users", "users", "orders"] {
        door.register(app, "host-1", "UP").await;
    }
    for app in ["orders", "users"] {
        let answer = door.get(&format!("/eureka/apps/{app}")).await.json();
        let instances = answer["application"]["instance"].as_array().unwrap();
        assert_eq!(instances.len(), 1, "{instances:?}");
        assert_eq!(instances[0]["instanceId"], "host-1");
        assert_eq!(instances[0]["metadata"], json!({"management.port": "8080", "zone": "eu-1"}));
        assert_eq!(door.put(&format!("/eureka/apps/{app}/host-1")).await, 200);
    }
    // The one that was first goes; the other stays what it is, also when it registers again.
    assert_eq!(door.delete("/eureka/apps/orders/host-1").await, 200);
    door.register("users", "host-1", "UP").await;
    let users = door.registry.snapshot(&ServiceKey::of("users".parse::<Name>().unwrap()));
    assert_eq!(users.entries.len(), 1);
    assert_eq!(door.get("/eureka/instances/host-1").await.json()["instance"]["app"], "USERS");
    assert_eq!(door.delete("/eureka/apps/users/host-1").await, 200);
    assert_eq!(door.get("/eureka/instances/host-1").await.status, 404);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_registered_is_seen_and_what_the_platform_runs_stays() {
    let door = Door::open().await;
    let registry = &door.registry;
    registry.register(Registration { lease: Lease::Managed, ..of("orders", "orders-1") }).unwrap();
    let other = Registration { zone: Some("eu-1".into()), status: Status::Down, ..of("orders", "other") };
    registry.admit(other).await.unwrap();
    let node: Name = "db-1".parse().unwrap();
    registry.put_node(NodeRegistration::new(node.clone(), "10.9.9.9")).await.unwrap();
    let far = Registration { node: Some(node), host: "".into(), ..of("orders", "far") };
    registry.admit(far).await.unwrap();

    for path in ["/eureka/apps/orders", "/eureka/apps/delta"] {
        let answer = door.get(path).await.json();
        let app = answer.pointer("/applications/application/0").unwrap_or(&answer["application"]);
        let mut instances = app["instance"].as_array().unwrap().clone();
        instances.sort_by_key(|one| one["instanceId"].to_string());
        let seen: Vec<_> = instances.iter().map(|one| (&one["instanceId"], &one["ipAddr"])).collect();
        let expected = json!([["far@db-1", "10.9.9.9"], ["orders-1", "10.0.0.9"], ["other", "10.0.0.9"]]);
        assert_eq!(json!(seen), expected);
        assert_eq!(instances[1]["homePageUrl"], "http://10.0.0.9:80/");
        assert_eq!(instances[1]["vipAddress"], "orders");
        assert_eq!(instances[2]["metadata"], json!({"zone": "eu-1"}));
    }
    for id in ["far@db-1", "orders-1", "other"] {
        assert_eq!(door.member("orders", id, "instanceId").await, id);
        let path = format!("/eureka/apps/orders/{id}");
        assert_eq!(door.put(&path).await, 200);
        assert_eq!(door.put(&format!("{path}/status?value=OUT_OF_SERVICE")).await, 200);
        assert_eq!(door.member("orders", id, "status").await, "OUT_OF_SERVICE");
        assert_eq!(door.delete(&format!("{path}/status")).await, 200);
    }
    // The platform knows better what it runs.
    assert_eq!(door.put("/eureka/apps/orders/orders-1?status=DOWN").await, 200);
    assert_eq!(door.member("orders", "orders-1", "status").await, "UP");
    assert_eq!(door.delete("/eureka/apps/orders/orders-1").await, 409);
    assert_eq!(door.put("/eureka/apps/orders/orders-1/metadata?k=v").await, 409);
    let takeover = instance("orders", "orders-1", "UP").to_string();
    assert_eq!(door.post("/eureka/apps/orders", JSON, takeover).await.status, 409);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_host_has_the_instances_of_all_apps_that_name_it() {
    let door = Door::open().await;
    for (app, id, name) in [("orders", "a", "one,Two"), ("users", "b", "two"), ("users", "c", "three")] {
        let mut body = instance(app, id, "UP");
        body["instance"]["vipAddress"] = json!(name);
        door.announce(app, &body).await;
    }
    let answer = door.get("/eureka/vips/two").await.json();
    assert_eq!(answer["applications"]["apps__hashcode"], "UP_2_");
    let apps = answer["applications"]["application"].as_array().unwrap();
    let ids: Vec<&Value> = apps.iter().map(|app| &app["instance"][0]["instanceId"]).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(door.get("/eureka/svips/two").await.status, 404);
    door.close().await;
}
