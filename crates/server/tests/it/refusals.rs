//! What keeps `trellis up` from starting is told with the place and the fix, and leaves nothing running.

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use crate::support::{self, Platform, stderr};

const ONE: &str = r#"
    [module.web]
    command = ["./web.py"]
    routes = ["/web/**"]
"#;

fn refused(folder: &Path, args: &[&str]) -> String {
    let output: Output = support::run(folder, &[&["up", "--any-port"], args].concat());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    stderr(&output)
}

#[track_caller]
fn assert_told(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn a_taken_port() {
    let folder = support::folder(ONE);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for door in ["gateway", "admin", "consul", "dns", "eureka"] {
        let text = refused(folder.path(), &[&format!("--{door}-listen"), &address]);
        let setting = format!("{door}.listen");
        assert_told(&text, &["TRL3002", &address, &setting, "choose another port", "explain TRL3002"]);
    }
}

#[test]
fn a_data_directory_that_cannot_be_written() {
    let folder = support::folder(ONE);
    // Permissions do not bind an administrator; a file in the way binds everyone.
    let text = refused(folder.path(), &["--data-dir", "trellis.toml/data"]);
    assert_told(&text, &["TRL3003", "trellis.toml/data", "--data-dir"]);
}

#[test]
fn a_data_directory_in_use() {
    let folder = support::folder(ONE);
    let first = Platform::up(folder.path(), &[]);
    let text = refused(folder.path(), &[]);
    assert_told(&text, &["TRL3004", &format!("process {}", first.pid()), "--data-dir"]);
    first.stop();
}

#[test]
fn a_data_directory_of_another_phase() {
    let folder = support::folder(ONE);
    let platform = Platform::up(folder.path(), &["--phase", "monolith"]);
    std::fs::write(folder.path().join("data/modules/web/web.db"), "data").unwrap();
    platform.stop();
    let text = refused(folder.path(), &["--phase", "microservices"]);
    assert_told(&text, &["TRL3007", "`monolith`", "trellis up --phase monolith", "--data-dir"]);
}

#[test]
fn a_missing_program_is_named_with_its_module_and_where_it_was_looked_for() {
    let folder = support::folder(
        r#"
        [module.web]
        command = ["./web.py"]
        [module.users]
        command = ["no-such-program"]
        [module.orders]
        command = ["./missing.py"]
        "#,
    );
    let text = refused(folder.path(), &[]);
    assert_told(&text, &["TRL3005", "users", "no-such-program", "orders", "missing.py", "help"]);
}

#[test]
fn a_mistaken_manifest() {
    let folder = support::folder("[module.web]\ncomand = [\"./web.py\"]\n");
    let text = refused(folder.path(), &[]);
    assert_told(&text, &["trellis.toml:2:1", "unknown key `comand`", "did you mean `command`?", "TRL3001"]);
    let output = support::run(folder.path(), &["up", "--json"]);
    let problem: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&problem["code"], &problem["mistakes"][0]["line"]), (&"TRL3001".into(), &2.into()));
}

#[test]
fn an_address_that_others_can_reach() {
    let folder = support::folder(ONE);
    let output = support::run(folder.path(), &["up", "--gateway-listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert_told(&stderr(&output), &["TRL3010", "0.0.0.0:0", "given by --gateway-listen"]);
}

#[test]
fn a_phase_that_this_version_does_not_run() {
    let folder = support::folder(ONE);
    let text = refused(folder.path(), &["--phase", "serverless"]);
    assert_told(&text, &["TRL3001", "serverless", "monolith", "service_mesh"]);
}

#[test]
fn an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    let text = refused(folder.path(), &[]);
    assert_told(&text, &["TRL3008", "no trellis.toml", "no program", "-f FILE", "[module.web]"]);
}

#[test]
fn a_filter_that_says_not_what_to_log() {
    let folder = support::folder(ONE);
    assert_told(&refused(folder.path(), &["--log", "a=b=c"]), &["a=b=c", "debug"]);
}
