//! Two whole platforms on one PostgreSQL: each runs a module, each is killed, and whoever asks the other notices nothing.

mod sessions;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;
use trellis_testkit::Postgres;

use crate::support::{self, Door, Places, Platform, eventually, http};

/// Doors that take registrations.
const TAKING: [Door; 3] = [Door::Native, Door::Consul, Door::Eureka];

/// What was acknowledged.
#[derive(Default)]
struct Told {
    next: u8,
    places: Places,
    settings: Vec<(String, Value)>,
}

/// A folder with a platform that is a node of its own name on this database.
fn node(name: &str, store: &str) -> TempDir {
    support::folder(&format!(
        r#"
        [app]
        name = "demo"
        store = "{store}"
        [registry]
        node = "{name}"
        [module.web]
        command = ["./web.py"]
        routes = ["/web/**"]
        "#
    ))
}

fn up(folder: &Path) -> Platform {
    Platform::up(folder, &[])
}

/// Where its module is.
fn web(platform: &Platform) -> String {
    format!("127.0.0.1:{}", platform.ready["modules"][0]["port"])
}

impl Told {
    /// Registers by every door, and writes by two.
    fn tell(&mut self, platform: &Platform) {
        for door in TAKING {
            self.next += 1;
            self.places.insert(door.register(platform, "orders", self.next));
        }
        let value = json!({ "number": self.next });
        for url in [
            platform.admin(&format!("/v1/config/demo/dev/keys/key-{}", self.next)),
            platform.door("consul", &format!("/v1/kv/key-{}", self.next)),
        ] {
            let answer = http::put(&url, "application/json", &value.to_string());
            assert_eq!(answer.status, 200, "{url}: {answer:?}");
        }
        self.settings.push((format!("key-{}", self.next), value));
    }

    /// Whether this platform tells all of it, by every door.
    fn is_known(&self, platform: &Platform) -> bool {
        let is_written = |(key, value): &(String, Value)| {
            [
                platform.admin(&format!("/v1/config/demo/dev/keys/{key}?raw=true")),
                platform.door("consul", &format!("/v1/kv/{key}?raw")),
            ]
            .iter()
            .all(|url| {
                let answer = http::get(url);
                answer.status == 200 && answer.json() == *value
            })
        };
        Door::ALL.iter().all(|door| door.discover(platform, "orders") == self.places)
            && self.settings.iter().all(is_written)
    }
}

fn knows(platform: &Platform, told: &Told) {
    eventually("it knows all that was acknowledged", || told.is_known(platform).then_some(()));
}

fn serve_together(platforms: &[&Platform]) {
    let all: Places = platforms.iter().map(|platform| web(platform)).collect();
    for platform in platforms {
        for door in Door::ALL {
            let what = format!("{door:?} tells of all modules");
            eventually(&what, || (door.discover(platform, "web") == all).then_some(()));
        }
    }
}

/// Says that it is over, whatever happens.
struct End<'o>(&'o AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Does something while clients of `platform` discover by every door, and call its module through its gateway.
fn unnoticed<T>(platform: &Platform, told: &Told, what: impl FnOnce() -> T) -> T {
    let (over, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let own = web(platform);
    let repeat = |one: &dyn Fn()| {
        // Once at least, after it has begun and after it has ended.
        loop {
            let is_last = over.load(Ordering::SeqCst);
            one();
            asked.fetch_add(1, Ordering::SeqCst);
            if is_last {
                return;
            }
            // A load, and not one that uses up the ports of the machine.
            support::pause();
        }
    };
    std::thread::scope(|clients| {
        let (own, repeat) = (&own, &repeat);
        for door in Door::ALL {
            clients.spawn(move || {
                repeat(&|| {
                    // What was acknowledged before is there; what comes meanwhile may be.
                    let found = door.discover(platform, "orders");
                    assert!(found.is_superset(&told.places), "{door:?}: {found:?}");
                    assert!(door.discover(platform, "web").contains(own), "{door:?}");
                });
            });
        }
        clients.spawn(move || {
            repeat(&|| {
                let answer = http::get(&platform.gateway("/web"));
                // One that was under way to the other's module may be cut off.
                assert!([200, 502].contains(&answer.status), "{answer:?}");
            });
        });
        // The clients end, too, if this fails.
        let _end = End(&over);
        eventually("the clients are at work", || (asked.load(Ordering::SeqCst) > 20).then_some(()));
        what()
    })
}

#[test]
fn two_platforms_are_one_and_either_may_be_killed() {
    let store = Postgres::shared().unwrap().fresh_database().unwrap();
    let (first, second) = (node("one", &store), node("two", &store));
    let (one, two) = (up(first.path()), up(second.path()));
    serve_together(&[&one, &two]);
    let mut told = Told::default();
    told.tell(&one);
    told.tell(&two);
    knows(&one, &told);
    knows(&two, &told);
    let members = http::get(&one.admin("/v1/members")).json();
    assert_eq!(members.as_array().map(Vec::len), Some(2), "{members}");

    // One is killed at the very moment that it acknowledged something.
    let before = told.places.clone();
    told.tell(&one);
    let known = Told { places: before, ..Told::default() };
    unnoticed(&two, &known, || {
        drop(one);
        knows(&two, &told);
        // Its module went with it.
        serve_together(&[&two]);
    });
    told.tell(&two);
    knows(&two, &told);

    let one = up(first.path());
    knows(&one, &told);
    serve_together(&[&one, &two]);
    unnoticed(&one, &told, || {
        drop(two);
        serve_together(&[&one]);
    });
    told.tell(&one);

    // Nobody is left to remember but the database.
    drop(one);
    let (one, two) = (up(first.path()), up(second.path()));
    knows(&one, &told);
    knows(&two, &told);
    serve_together(&[&one, &two]);
    one.stop();
    serve_together(&[&two]);
    two.stop();
}
