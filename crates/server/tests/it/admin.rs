//! The admin API, and the commands that talk to it.

use serde_json::Value;

use crate::support::{self, Platform, http, stderr, stdout};

const TWO: &str = r#"
    [module.web]
    command = ["./web.py"]
    replicas = 2
    routes = ["/web/**"]
    env = { API_KEY = "hunter2" }
"#;

#[test]
fn the_openapi_document_has_not_changed_by_accident() {
    insta::assert_json_snapshot!(trellis_server::admin::openapi());
}

#[test]
fn it_tells_how_the_platform_is() {
    let folder = support::folder(TWO);
    let platform = Platform::up(folder.path(), &[]);
    let status = http::get(&platform.admin("/v1/status")).json();
    assert_eq!((&status["state"], &status["pid"]), (&"ready".into(), &platform.pid().into()));
    assert_eq!(status["processes"].as_array().unwrap().len(), 2);
    for path in ["/health", "/livez", "/readyz", "/v1/services", "/openapi.json", "/v1/openapi.json"] {
        assert_eq!(http::get(&platform.admin(path)).status, 200, "{path}");
    }
    let config = http::get(&platform.admin("/v1/config"));
    assert!(!config.body.contains("hunter2"), "{config:?}");
    let listen =
        config.json().as_array().unwrap().iter().find(|s| s["key"] == "gateway.listen").unwrap().clone();
    assert_eq!(listen["source"], "--any-port");
    platform.stop();
}

#[test]
fn what_it_refuses_is_a_problem_document() {
    let folder = support::folder(TWO);
    let platform = Platform::up(folder.path(), &[]);
    let cases = [
        ("GET", "/nothing", "", "", 404, "TRL2004"),
        ("POST", "/v1/status", "", "", 405, "TRL1002"),
        ("GET", "/v1/services/nobody", "", "", 404, "TRL2004"),
        ("GET", "/v1/status", "host", "evil.example:7700", 403, "TRL2012"),
        ("GET", "/v1/status", "origin", "http://evil.example", 403, "TRL2012"),
        ("PUT", "/v1/services/web/override", "origin", "http://evil.example", 403, "TRL2012"),
    ];
    for (method, path, name, value, status, code) in cases {
        let headers: &[(&str, &str)] = if name.is_empty() { &[] } else { &[(name, value)] };
        let answer = http::send(method, &platform.admin(path), headers);
        assert_eq!((answer.status, &answer.json()["code"]), (status, &code.into()), "{method} {path}");
        assert!(answer.head.contains("application/problem+json"), "{answer:?}");
    }
    platform.stop();
}

#[test]
fn the_commands_show_it_to_people_and_to_programs() {
    let folder = support::folder(TWO);
    let platform = Platform::up(folder.path(), &[]);
    let admin = platform.admin("");
    let ask = |args: &[&str]| {
        let output = support::run(folder.path(), &[args, &["--admin", &admin]].concat());
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stdout(&output)
    };
    let services = ask(&["services"]);
    assert!(services.starts_with("SERVICE"), "{services}");
    assert!(
        services.lines().any(|line| line.starts_with("web") && line.contains("web-2") && line.contains("UP")),
        "{services}"
    );
    let list: Value = serde_json::from_str(&ask(&["services", "--json"])).unwrap();
    assert_eq!((&list[0]["name"], &list[0]["up"]), (&"web".into(), &2.into()));
    let status = ask(&["status"]);
    assert!(status.contains(&platform.gateway("")) && status.contains("web-1"), "{status}");
    let status: Value = serde_json::from_str(&ask(&["status", "--json"])).unwrap();
    assert_eq!(status["app"], "app");
    platform.stop();
}

#[test]
fn an_override_wins_and_survives_a_restart() {
    let folder = support::folder(TWO);
    let say = |platform: &Platform, target: &str, status: &str| {
        let admin = platform.admin("");
        support::run(folder.path(), &["override", target, status, "--admin", &admin])
    };
    let up = |platform: &Platform| http::get(&platform.admin("/v1/services/web")).json()["up"].as_u64();

    let first = Platform::up(folder.path(), &[]);
    let said = say(&first, "web/web-2", "out-of-service");
    assert!(said.status.success(), "{}", stderr(&said));
    assert_eq!(up(&first), Some(1));
    let slip = say(&first, "web/web-7", "DOWN");
    assert_eq!(slip.status.code(), Some(1));
    assert!(stderr(&slip).contains("web-1, web-2"), "{}", stderr(&slip));
    first.stop();

    let second = Platform::up(folder.path(), &[]);
    assert_eq!(up(&second), Some(1));
    for _ in 0..20 {
        assert_eq!(http::get(&second.gateway("/web")).json()["TRELLIS_INSTANCE"], "web-1");
    }
    assert!(say(&second, "web/web-2", "none").status.success());
    assert_eq!(up(&second), Some(2));
    assert!(say(&second, "web", "OUT_OF_SERVICE").status.success());
    assert_eq!(http::get(&second.gateway("/web")).status, 503);
    second.stop();
}

#[test]
fn a_platform_that_is_not_there_is_told_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    for command in ["services", "status"] {
        let output = support::run(folder.path(), &[command, "--admin", &url]);
        assert_eq!(output.status.code(), Some(1));
        let text = stderr(&output);
        assert!(
            text.contains("TRL3009") && text.contains("trellis up") && text.contains("TRELLIS_ADMIN"),
            "{text}"
        );
    }
}
