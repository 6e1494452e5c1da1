//! However the platform ends, it leaves nothing behind.

use rustix::process::Signal;

use crate::support::{self, Platform, eventually, http, runs};

const ONE: &str = r#"
    [module.web]
    command = ["./web.py"]
    routes = ["/**"]
    env = { GRANDCHILD = "yes" }
"#;

/// Begins a request that the module holds until it is let go.
fn hold(folder: &std::path::Path, platform: &Platform) -> std::net::TcpStream {
    let stream = http::begin("GET", &platform.gateway("/hold"), &[]);
    eventually("the module has the request", || {
        folder.join("data/modules/web/holding").exists().then_some(())
    });
    stream
}

#[test]
fn ctrl_c_lets_running_requests_finish() {
    let folder = support::folder(ONE);
    let platform = Platform::up(folder.path(), &[]);
    let held = hold(folder.path(), &platform);
    let address = platform.ready["gateway"].as_str().unwrap().trim_start_matches("http://").to_owned();
    platform.signal(Signal::INT);
    eventually("the gateway takes no new connections", || {
        std::net::TcpStream::connect(&address).is_err().then_some(())
    });
    std::fs::write(folder.path().join("data/modules/web/let-go"), "").unwrap();
    assert_eq!(http::read(held).status, 200);
    let (status, log) = platform.wait();
    assert!(status.success(), "{log}");
}

#[test]
fn a_second_ctrl_c_cuts_everything_off() {
    let folder = support::folder(ONE);
    let platform = Platform::up(folder.path(), &[]);
    let _held = hold(folder.path(), &platform);
    let family = platform.descendants();
    platform.signal(Signal::INT);
    eventually("the first is heeded", || (!http_is_open(&platform)).then_some(()));
    platform.signal(Signal::INT);
    let (status, log) = platform.wait();
    assert_eq!(status.code(), Some(130), "{log}");
    eventually("nothing is left", || family.iter().all(|pid| !runs(*pid)).then_some(()));
}

fn http_is_open(platform: &Platform) -> bool {
    std::net::TcpStream::connect(platform.gateway("").trim_start_matches("http://")).is_ok()
}

#[test]
fn sigterm_stops_it_like_ctrl_c() {
    let folder = support::folder(ONE);
    let platform = Platform::up(folder.path(), &[]);
    let family = platform.descendants();
    platform.signal(Signal::TERM);
    let (status, log) = platform.wait();
    assert!(status.success(), "{log}");
    assert!(family.iter().all(|pid| !runs(*pid)), "{log}");
}

#[test]
fn kill_9_leaves_no_child_and_no_grandchild() {
    let folder = support::folder(ONE);
    let platform = Platform::up(folder.path(), &[]);
    let family = platform.descendants();
    let grandchild: u64 =
        std::fs::read_to_string(folder.path().join("data/modules/web/grandchild")).unwrap().parse().unwrap();
    assert!(family.contains(&grandchild), "{grandchild} is not in {family:?}");
    platform.signal(Signal::KILL);
    platform.wait();
    eventually("nothing is left", || family.iter().all(|pid| !runs(*pid)).then_some(()));
    // And the folder can be used again, whatever the first one left in it.
    Platform::up(folder.path(), &[]).stop();
}
