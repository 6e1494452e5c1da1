//! A whole platform on its embedded database is killed with -9 in the middle of writes by every door.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::support::{self, Door, Places, Platform, Write, eventually, http};

/// Doors that take registrations.
const TAKING: [Door; 3] = [Door::Native, Door::Consul, Door::Eureka];
/// So many writes are acknowledged before the platform is killed.
const ENOUGH: usize = 200;
/// Numbers of each writer in each round.
const NUMBERS: u16 = 2_000;

/// What was acknowledged: where instances are, and the last number written to each key.
#[derive(Default)]
struct Told {
    places: Places,
    keys: BTreeMap<&'static str, u16>,
}

/// Where a key is written and read.
fn key(platform: &Platform, name: &str) -> (String, String) {
    match name {
        "versioned" => {
            let url = platform.admin("/v1/config/demo/dev/keys/versioned");
            (url.clone(), format!("{url}?raw=true"))
        }
        name => {
            let url = platform.door("consul", &format!("/v1/kv/{name}"));
            (url.clone(), format!("{url}?raw"))
        }
    }
}

/// Writes until nobody answers any more; what was acknowledged.
fn write_on(writes: impl Iterator<Item = (Write, u16)>, count: &AtomicUsize) -> Vec<u16> {
    let mut done = Vec::new();
    for (write, number) in writes {
        let Ok(answer) = write.send() else { break };
        assert!(support::is_done(&answer), "{write:?}: {answer:?}");
        count.fetch_add(1, Ordering::SeqCst);
        done.push(number);
    }
    done
}

/// Kills the platform under load; adds what it acknowledged until then.
fn kill(platform: Platform, round: u16, told: &mut Told) {
    let count = AtomicUsize::new(0);
    let numbers = |writer: usize| {
        let first = round * 10_000 + writer as u16 * NUMBERS + 1;
        first..first + NUMBERS
    };
    let registrations: Vec<Vec<_>> = TAKING
        .iter()
        .enumerate()
        .map(|(writer, door)| {
            let one = |number| (door.registration(&platform, "orders", number), number);
            numbers(writer).map(one).collect()
        })
        .collect();
    let keys = ["versioned", "stored"].map(|name| {
        let (url, _) = key(&platform, name);
        (name, url)
    });
    std::thread::scope(|threads| {
        let count = &count;
        let mut registering = Vec::new();
        for all in registrations {
            registering.push(threads.spawn(move || {
                let places: BTreeMap<u16, String> =
                    all.iter().map(|((_, place), number)| (*number, place.clone())).collect();
                let done = write_on(all.into_iter().map(|((write, _), number)| (write, number)), count);
                done.iter().map(|number| places[number].clone()).collect::<Places>()
            }));
        }
        let mut writing = Vec::new();
        for (name, url) in keys {
            writing.push(threads.spawn(move || {
                let write = |number: u16| {
                    let body = json!({ "number": number }).to_string();
                    (Write { method: "PUT", url: url.clone(), body }, number)
                };
                (name, write_on(numbers(0).map(write), count).last().copied())
            }));
        }
        eventually("enough is acknowledged", || (count.load(Ordering::SeqCst) > ENOUGH).then_some(()));
        drop(platform);
        for writer in registering {
            told.places.extend(writer.join().unwrap());
        }
        for writer in writing {
            let (name, last) = writer.join().unwrap();
            told.keys.insert(name, last.expect("each writer was heard"));
        }
    });
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill_in_the_middle_of_writes() {
    let folder = support::folder("[[route]]\npath = \"/\"\nrespond = { status = 204 }\n");
    let mut told = Told::default();
    for round in 0..3 {
        let platform = Platform::up(folder.path(), &[]);
        check(&platform, &told);
        kill(platform, round, &mut told);
    }
    let platform = Platform::up(folder.path(), &[]);
    check(&platform, &told);
    platform.stop();
}

fn check(platform: &Platform, told: &Told) {
    for door in Door::ALL {
        let found = door.discover(platform, "orders");
        let lost: Vec<_> = told.places.difference(&found).collect();
        assert!(lost.is_empty(), "{door:?}: {} of {} are lost: {lost:?}", lost.len(), told.places.len());
    }
    for (name, last) in &told.keys {
        let found = http::get(&key(platform, name).1).json()["number"].as_u64().expect("a number");
        // What was sent last may be there without having been acknowledged.
        assert!(found >= u64::from(*last), "{name}: {found} instead of {last}");
    }
}
