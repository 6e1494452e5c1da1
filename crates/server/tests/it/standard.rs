//! The doors for clients of Consul, DNS and Eureka, as `trellis up` opens them.

use std::net::UdpSocket;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{self, Door, Platform, eventually, http};

/// A platform that leads nowhere and runs nothing.
const NOTHING: &str = "[[route]]\npath = \"/\"\nrespond = { status = 204 }\n";

fn url(platform: &Platform, door: &str, path: &str) -> String {
    platform.door(door, path)
}

fn put(platform: &Platform, path: &str, body: &Value) -> String {
    let answer = http::put(&url(platform, "consul", path), "application/json", &body.to_string());
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body
}

#[test]
fn web_pages_are_kept_out_of_every_door() {
    let folder = support::folder(NOTHING);
    let platform = Platform::up(folder.path(), &[]);
    for (door, path) in
        [("consul", "/v1/catalog/services"), ("eureka", "/eureka/apps"), ("admin", "/v1/services")]
    {
        let url = url(&platform, door, path);
        assert_eq!(http::get(&url).status, 200, "{door}");
        for header in [("host", "evil.example:80"), ("origin", "http://evil.example")] {
            assert_eq!(http::send("GET", &url, &[header]).status, 403, "{door}: {header:?}");
        }
    }
    // What is not there is told in the words of the door, not of the admin API.
    for (door, path) in [("consul", "/v1/nothing"), ("eureka", "/eureka/nothing")] {
        let answer = http::get(&url(&platform, door, path));
        assert_eq!(answer.status, 404, "{door}");
        assert!(!answer.body.contains("admin API"), "{door}: {answer:?}");
    }
    platform.stop();
}

#[test]
fn a_name_that_is_no_dns_label_is_found_where_it_can_be() {
    let folder = support::folder(NOTHING);
    let platform = Platform::up(folder.path(), &[]);
    let name = "my_db.v1";
    let place = Door::Consul.register(&platform, name, 1);
    let other = Door::Eureka.register(&platform, name, 2);
    for door in [Door::Consul, Door::Eureka] {
        assert_eq!(door.discover(&platform, name), [place.clone(), other.clone()].into(), "{door:?}");
    }
    // What leads into URLs and routes says why not, and DNS has no such name.
    let refused = http::get(&platform.admin(&format!("/v1/services/{name}")));
    assert_eq!((refused.status, &refused.json()["code"]), (400, &"TRL2010".into()), "{refused:?}");
    let (write, _) = Door::Native.registration(&platform, name, 3);
    let refused = write.send().expect("an answer");
    assert_eq!((refused.status, &refused.json()["code"]), (422, &"TRL2002".into()), "{refused:?}");
    assert_eq!(Door::Dns.discover(&platform, name), [].into());
    // The others are not disturbed.
    let place = Door::Native.register(&platform, "orders", 1);
    for door in Door::ALL {
        assert_eq!(door.discover(&platform, "orders"), [place.clone()].into(), "{door:?}");
    }
    let listed = http::get(&platform.admin("/v1/services")).json();
    assert!(listed.as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "orders")), "{listed}");
    platform.stop();
}

#[test]
fn a_door_that_is_closed_is_not_listened_for() {
    let closed = "[consul]\nenabled = false\n[dns]\nenabled = false\n[eureka]\nenabled = false\n";
    let folder = support::folder(&format!("{closed}{NOTHING}"));
    let platform = Platform::up(folder.path(), &[]);
    for door in ["consul", "dns", "eureka"] {
        assert_eq!(platform.ready.get(door), None, "{door}");
    }
    platform.stop();
}

#[test]
fn sessions_end_with_the_check_and_with_the_node_that_they_depend_on() {
    let folder = support::folder(NOTHING);
    let platform = Platform::up(folder.path(), &[]);
    put(&platform, "/v1/agent/check/register", &json!({ "Name": "disk", "CheckID": "disk", "TTL": "10m" }));
    put(&platform, "/v1/agent/check/pass/disk", &json!({}));
    put(&platform, "/v1/catalog/register", &json!({ "Node": "far", "Address": "10.0.0.9" }));
    let session = |asked: Value| -> String {
        let made: Value = serde_json::from_str(&put(&platform, "/v1/session/create", &asked)).expect("JSON");
        made["ID"].as_str().expect("an id").to_owned()
    };
    let of_check = session(json!({ "Checks": ["serfHealth", "disk"], "LockDelay": "0s" }));
    let of_node = session(json!({ "Node": "far", "Checks": [], "LockDelay": "0s" }));
    let stays = session(json!({ "LockDelay": "0s" }));
    assert_eq!(put(&platform, &format!("/v1/kv/lock?acquire={of_check}"), &json!(1)).trim(), "true");
    let is_there = |id: &str| {
        http::get(&url(&platform, "consul", &format!("/v1/session/info/{id}"))).json() != json!([])
    };
    assert!(is_there(&of_check) && is_there(&of_node) && is_there(&stays));

    put(&platform, "/v1/agent/check/fail/disk", &json!({}));
    eventually("the session of the check has ended", || (!is_there(&of_check)).then_some(()));
    let lock = http::get(&url(&platform, "consul", "/v1/kv/lock")).json();
    assert_eq!(lock[0].get("Session"), None, "its lock is free: {lock}");
    assert!(is_there(&of_node), "the other node is well");

    put(&platform, "/v1/catalog/deregister", &json!({ "Node": "far" }));
    eventually("the session of the node has ended", || (!is_there(&of_node)).then_some(()));
    assert!(is_there(&stays));
    platform.stop();
}

/// Asks for the addresses of a service named `a`, and waits for any answer.
fn ask_dns(address: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // RFC 1035, section 4.1: the header with one question; then its name, type A and class IN.
    let mut packet = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend(b"\x01a\x07service\x06consul\x00\x00\x01\x00\x01");
    socket.send_to(&packet, address).unwrap();
    let mut answer = [0; 512];
    let (length, _) = socket.recv_from(&mut answer).unwrap();
    assert_eq!(answer[..length][..2], packet[..2], "it has the same number");
}

#[test]
fn what_the_doors_and_the_parts_behind_them_did_is_told_in_figures() {
    let folder = support::folder(NOTHING);
    let platform = Platform::up(folder.path(), &[]);
    put(&platform, "/v1/agent/service/register", &json!({ "Name": "a", "Port": 1 }));
    assert_eq!(http::get(&url(&platform, "consul", "/v1/nothing")).status, 404);
    assert_eq!(http::get(&url(&platform, "eureka", "/eureka/apps")).status, 200);
    ask_dns(platform.ready["dns"].as_str().unwrap());
    let figures = http::get(&url(&platform, "admin", "/metrics")).body;
    for line in [
        "trellis_door_requests_total{door=\"consul\",code=\"2xx\"} 1",
        "trellis_door_requests_total{door=\"consul\",code=\"4xx\"} 1",
        "trellis_door_requests_total{door=\"eureka\",code=\"2xx\"} 1",
        "trellis_dns_queries_total{type=\"A\",code=\"NOERROR\"} 1",
        "trellis_registry_registrations_total 1",
        "trellis_members 1",
        "trellis_member_live 1",
        "trellis_feed_connected 1",
    ] {
        assert!(figures.lines().any(|found| found == line), "{line} is not in\n{figures}");
    }
    for family in ["trellis_connections_open", "trellis_config_revision", "trellis_store_commits_total"] {
        assert!(figures.contains(&format!("# TYPE {family} ")), "{family} is not in\n{figures}");
    }
    platform.stop();
}

#[test]
fn clients_of_consul_have_the_manifest_read_anew() {
    let route = |status: u16| format!("[[route]]\npath = \"/\"\nrespond = {{ status = {status} }}\n");
    let folder = support::folder(&route(201));
    let platform = Platform::up(folder.path(), &[]);
    let reload = |text: &str| {
        std::fs::write(folder.path().join("trellis.toml"), text).expect("a manifest");
        http::put(&url(&platform, "consul", "/v1/agent/reload"), "application/json", "")
    };
    let status = || http::get(&platform.gateway("/")).status;
    assert_eq!((status(), reload(&route(202)).status, status()), (201, 200, 202));
    let refused = reload("[[route]]\npath = 1\n");
    assert_eq!(refused.status, 500, "{refused:?}");
    assert!(refused.body.starts_with("trellis.toml has 2 mistake"), "{refused:?}");
    assert_eq!(status(), 202, "what was in force stays");
    std::fs::remove_file(folder.path().join("trellis.toml")).expect("it can be removed");
    let gone = http::put(&url(&platform, "consul", "/v1/agent/reload"), "application/json", "");
    assert_eq!(gone.status, 500, "{gone:?}");
    platform.stop();
}

#[test]
fn clients_of_consul_stop_the_platform_only_if_they_may() {
    let leave = |platform: &Platform| {
        http::put(&url(platform, "consul", "/v1/agent/leave"), "application/json", "").status
    };
    let folder = support::folder(NOTHING);
    let platform = Platform::up(folder.path(), &[]);
    assert_eq!(leave(&platform), 501);
    platform.stop();
    let folder = support::folder(&format!("[consul]\nallow_leave = true\n{NOTHING}"));
    let platform = Platform::up(folder.path(), &[]);
    assert_eq!(leave(&platform), 200);
    let (status, log) = platform.wait();
    assert!(status.success() && log.contains("allow_leave"), "{status}: {log}");
}
