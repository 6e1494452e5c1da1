//! Clients from beginning to end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use trellis_core::Status;
use trellis_registry::{Handle, Name, Options, ServiceKey};
use trellis_runtime::Shutdown;

use super::support::{Door, XML, instance, xml};

/// What a client of Netflix' makes of full lists and differences: the status of each instance, by app and id.
#[derive(Default)]
struct Follower(BTreeMap<(String, String), String>);

impl Follower {
    fn apply(&mut self, answer: &Value) {
        let apps = answer["applications"]["application"].as_array().unwrap();
        for one in apps.iter().flat_map(|app| app["instance"].as_array().unwrap()) {
            let text = |name: &str| one[name].as_str().unwrap().to_owned();
            let key = (text("app"), text("instanceId"));
            match text("actionType").as_str() {
                "ADDED" | "MODIFIED" => self.0.insert(key, text("status")),
                "DELETED" => self.0.remove(&key),
                other => panic!("{other}"),
            };
        }
    }

    /// Takes a difference; whether all is well then, or everything has to be fetched.
    async fn is_in_step(&mut self, door: &Door) -> bool {
        let answer = door.get("/eureka/apps/delta").await.json();
        self.apply(&answer);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        self.0.values().for_each(|status| *counts.entry(status).or_default() += 1);
        let own: Vec<String> = counts.iter().map(|(status, count)| format!("{status}_{count}_")).collect();
        own.concat() == answer["applications"]["apps__hashcode"]
    }

    fn statuses(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|((_, id), status)| (id.as_str(), status.as_str())).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spring_from_start_to_end() {
    let door = Door::open().await;
    let mut follower = Follower::default();
    door.register("users", "u", "UP").await;
    follower.apply(&door.get("/eureka/apps/").await.json());

    // A heartbeat comes first, and finds nothing.
    assert_eq!(door.put("/eureka/apps/ORDERS/o?status=STARTING&lastDirtyTimestamp=1").await, 404);
    door.register("orders", "o", "STARTING").await;
    assert!(follower.is_in_step(&door).await);
    assert_eq!(follower.statuses(), [("o", "STARTING"), ("u", "UP")]);

    door.register("orders", "o", "UP").await;
    assert_eq!(door.put("/eureka/apps/ORDERS/o?status=UP&lastDirtyTimestamp=1700000000002").await, 200);
    assert!(follower.is_in_step(&door).await);
    assert_eq!(follower.statuses(), [("o", "UP"), ("u", "UP")]);

    assert_eq!(door.put("/eureka/apps/ORDERS/o/status?value=OUT_OF_SERVICE").await, 200);
    assert!(follower.is_in_step(&door).await);
    assert_eq!(follower.statuses(), [("o", "OUT_OF_SERVICE"), ("u", "UP")]);
    assert_eq!(door.delete("/eureka/apps/ORDERS/o/status?value=UP").await, 200);

    // The gateway sees the same.
    let set = door.registry.endpoints(&"orders".parse().unwrap());
    assert_eq!(set.endpoints.iter().map(|e| &*e.authority).collect::<Vec<_>>(), ["10.0.0.7:8080"]);

    // It says that it goes, and goes.
    door.register("orders", "o", "DOWN").await;
    assert!(follower.is_in_step(&door).await);
    assert_eq!(follower.statuses(), [("o", "DOWN"), ("u", "UP")]);
    assert_eq!(door.delete("/eureka/apps/ORDERS/o").await, 200);
    assert!(follower.is_in_step(&door).await);
    assert_eq!(follower.statuses(), [("u", "UP")]);
    assert_eq!(door.get("/eureka/apps/orders").await.status, 404);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_the_whole_list_when_it_cannot_reach_back() {
    let door = Door::open_with(Options { max_changes: 4, ..Options::default() }).await;
    let delta = async || {
        let answer = door.get("/eureka/apps/delta").await.json();
        let apps = answer["applications"]["application"].as_array().unwrap();
        let count: usize = apps.iter().map(|app| app["instance"].as_array().unwrap().len()).sum();
        (count, answer["applications"]["apps__hashcode"].as_str().unwrap().to_owned())
    };
    assert_eq!(delta().await, (0, String::new()));
    for id in ["a", "b"] {
        door.register("orders", id, "UP").await;
    }
    assert_eq!(delta().await, (2, "UP_2_".into()));
    door.clock.set(door.clock.unix_millis() + 181_000);
    door.register("orders", "c", "UP").await;
    assert_eq!(delta().await, (1, "UP_3_".into()));
    for id in ["d", "e", "f", "g"] {
        door.register("orders", id, "UP").await;
    }
    // Five changes are in the window, and four are kept.
    assert_eq!(delta().await, (7, "UP_7_".into()));

    // Whoever has too few gets them, and whoever has one too many finds it out.
    let mut follower = Follower::default();
    assert!(follower.is_in_step(&door).await);
    assert_eq!(door.delete("/eureka/apps/orders/a").await, 200);
    assert!(!follower.is_in_step(&door).await);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ends_is_shown_as_down_and_then_as_gone() {
    let door = Door::open_with(Options { keep_expired: Duration::from_secs(1), ..Options::default() }).await;
    let mut body = instance("orders", "a", "UP");
    body["instance"]["leaseInfo"]["durationInSecs"] = json!(1);
    door.announce("orders", &body).await;
    let mut follower = Follower::default();
    let service = ServiceKey::of("orders".parse::<Name>().unwrap());
    let is = |status: Status| {
        let service = &service;
        move |registry: &Handle| {
            registry.snapshot(service).entries.first().is_none_or(|entry| entry.instance.status == status)
        }
    };
    door.until(is(Status::Down)).await;
    assert!(follower.is_in_step(&door).await);
    assert_eq!(follower.statuses(), [("a", "DOWN")]);

    door.until(|registry| registry.snapshot(&service).entries.is_empty()).await;
    let answer = door.get("/eureka/apps/delta").await.json();
    assert_eq!(answer["applications"]["application"][0]["instance"][0]["actionType"], "DELETED");
    assert!(follower.is_in_step(&door).await);
    assert_eq!(follower.statuses(), []);
    // The client that was away hears that it has to register again.
    assert_eq!(door.put("/eureka/apps/orders/a").await, 404);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn netflix_in_xml() {
    let door = Door::open().await;
    for status in ["STARTING", "UP"] {
        assert_eq!(door.post("/eureka/v2/apps/ORDERS", XML, xml("orders", "a", status)).await.status, 204);
    }
    assert_eq!(door.put("/eureka/v2/apps/ORDERS/a?status=UP&lastDirtyTimestamp=1700000000002").await, 200);
    let delta = door.get_xml("/eureka/v2/apps/delta").await;
    assert!(delta.text().contains("<apps__hashcode>UP_1_</apps__hashcode>"), "{}", delta.text());
    assert!(delta.text().contains("<actionType>ADDED</actionType>"), "{}", delta.text());
    assert_eq!(door.delete("/eureka/v2/apps/ORDERS/a").await, 200);
    let delta = door.get_xml("/eureka/v2/apps/delta").await;
    assert!(delta.text().contains("<actionType>DELETED</actionType>"), "{}", delta.text());
    assert!(delta.text().contains("<apps__hashcode></apps__hashcode>"), "{}", delta.text());
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_network_until_it_is_told_to_stop() {
    let door = Door::open().await;
    let listener = trellis_net::bind("test", SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = trellis_net::local_address(&listener).unwrap();
    let (shutdown, options) = (Shutdown::new(), trellis_eureka::Options::default());
    let (limits, router) = (options.limits(), trellis_eureka::router(options, door.registry.clone()));
    let serving = trellis_net::serve(listener, router, limits, shutdown.clone());
    let serving = tokio::spawn(serving);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /eureka/apps HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with("<apps__hashcode></apps__hashcode></applications>"), "{answer}");
    shutdown.trigger();
    serving.await.unwrap().unwrap();
    door.close().await;
}
