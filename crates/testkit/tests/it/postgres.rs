use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use trellis_testkit::Postgres;

fn port(url: &str) -> u16 {
    url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap()
}

#[test]
fn a_server_is_there_until_it_is_dropped() {
    let server = Postgres::start().unwrap();
    let port = port(&server.url());
    let (first, second) = (server.fresh_database().unwrap(), server.fresh_database().unwrap());
    assert_ne!(first, second);
    assert!(server.execute("SELECT 1").is_ok());
    let error = server.execute("SELECT nonsense").unwrap_err().to_string();
    assert!(error.contains("nonsense"), "{error}");
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the port is free again");
}

#[test]
fn a_server_that_was_stopped_starts_again_with_its_data() {
    let server = Postgres::start().unwrap();
    server.execute("CREATE TABLE kept (id BIGINT)").unwrap();
    server.stop();
    server.stop();
    assert!(server.execute("SELECT 1").is_err());
    server.start_again().unwrap();
    server.start_again().unwrap();
    server.execute("SELECT id FROM kept").unwrap();
}

#[test]
fn tests_of_one_process_share_a_server() {
    let one = Postgres::shared().unwrap();
    let two = Postgres::shared().unwrap();
    assert_eq!(one.url(), two.url());
}

#[expect(clippy::disallowed_methods, reason = "a test is an outermost layer")]
/// Runs only in the child process of the test below.
#[test]
fn child_that_is_killed() {
    if std::env::var_os("TESTKIT_CHILD").is_none() {
        return;
    }
    let server = Postgres::start().unwrap();
    println!("port {}", port(&server.url()));
    std::thread::park();
}

#[test]
fn no_server_outlives_a_test_process_that_is_killed() {
    use std::io::{BufRead, BufReader};
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "postgres::child_that_is_killed", "--nocapture"])
        .env("TESTKIT_CHILD", "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port: u16 =
        lines.find_map(|line| line.split("port ").nth(1)?.parse().ok()).expect("the child tells its port");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(std::time::Instant::now() < deadline, "the server still listens");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
