//! The disk under the platform's own database is full: what cannot be kept is refused, everything else goes on, and when there
//! is room again nobody has to do anything.

use std::fs::File;
use std::path::PathBuf;

use serde_json::json;

use crate::support::{self, Door, Platform, eventually, http};

const DISK_MIB: u32 = 24;
/// What takes the disk's room until it is removed.
const BALLAST: u64 = 12 << 20;

/// Where the platform's disk is seen from outside.
fn inside(platform: &Platform, path: &std::path::Path) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{}", platform.pid(), path.display()))
}

fn put(url: &str, body: &str) -> http::Answer {
    http::put(url, "application/json", body)
}

/// 100 KiB of text that cannot be made smaller.
fn text(number: u32) -> String {
    let mut random = fastrand::Rng::with_seed(number.into());
    std::iter::repeat_with(|| random.alphanumeric()).take(100 << 10).collect()
}

/// Writes until the disk is full; the keys and values that were acknowledged, and the first refusal.
fn fill(url: impl Fn(u32) -> String) -> (Vec<(u32, String)>, http::Answer) {
    let mut kept = Vec::new();
    for number in 0..1000 {
        let value = json!(text(number)).to_string();
        let answer = put(&url(number), &value);
        if answer.status != 200 {
            return (kept, answer);
        }
        kept.push((number, value));
    }
    panic!("a disk of {DISK_MIB} MiB has room for all of it");
}

#[test]
fn what_cannot_be_kept_is_refused_until_there_is_room_again() {
    let folder = support::folder("[[route]]\npath = \"/\"\nrespond = { status = 204 }\n");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let program = support::trellis_on_a_small_disk(&data, DISK_MIB);
    let platform = Platform::started_by(program, folder.path(), "127.0.0.1:0", &[]);
    let ballast = inside(&platform, &data.join("ballast"));
    std::io::copy(
        &mut std::io::Read::take(File::open("/dev/zero").unwrap(), BALLAST),
        &mut File::create(&ballast).unwrap(),
    )
    .unwrap();
    let before = Door::Native.register(&platform, "orders", 1);

    let key = |number: u32| platform.admin(&format!("/v1/config/demo/dev/keys/key-{number}"));
    let (kept, refused) = fill(key);
    assert!(!kept.is_empty());
    assert_eq!((refused.status, &refused.json()["code"]), (503, &"TRL4001".into()), "{refused:?}");
    assert!(!refused.body.contains("disk") && !refused.body.contains("SQL"), "nothing internal: {refused:?}");
    // Small writes find room for a while; then they are refused as well, at every door, in its own words.
    let stored = |number: u32| platform.door("consul", &format!("/v1/kv/key-{number}"));
    let (more, refused) = fill(stored);
    assert_eq!(refused.status, 500, "as Consul says it: {refused:?}");
    assert!(refused.head.contains("trellis-code: trl4001"), "{refused:?}");
    let full = eventually("a registration is refused", || {
        let body = json!({ "service": "late", "host": "10.0.0.1", "port": 1, "metadata": { "m": "x".repeat(1000) } });
        let id = fastrand::u32(..);
        let answer = put(&platform.admin(&format!("/v1/instances/late-{id}")), &body.to_string());
        (answer.status != 200).then_some(answer)
    });
    assert_eq!((full.status, &full.json()["code"]), (503, &"TRL4001".into()), "{full:?}");

    // Reads, discovery and heartbeats go on, and everything acknowledged is there.
    let all_there = |platform: &Platform| {
        for (number, value) in &kept {
            let read = http::get(&platform.admin(&format!("/v1/config/demo/dev/keys/key-{number}?raw=true")));
            assert!(read.status == 200 && read.body == *value, "key-{number}");
        }
        for (number, value) in &more {
            let read = http::get(&platform.door("consul", &format!("/v1/kv/key-{number}?raw")));
            assert!(read.status == 200 && read.body == *value, "stored key-{number}");
        }
        for door in Door::ALL {
            assert_eq!(door.discover(platform, "orders"), [before.clone()].into(), "{door:?}");
        }
    };
    all_there(&platform);
    let beat =
        http::send("POST", &platform.admin("/v1/instances/orders-1/renew"), &[("content-length", "0")]);
    assert_eq!(beat.status, 204, "{beat:?}");

    std::fs::remove_file(&ballast).unwrap();
    let (number, value) = (2000, json!(text(2000)).to_string());
    eventually("it is written again", || (put(&key(number), &value).status == 200).then_some(()));
    assert_eq!(put(&stored(number), &value).status, 200);
    Door::Consul.register(&platform, "again", 2);
    all_there(&platform);
    platform.stop();
}
