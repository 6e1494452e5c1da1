//! Commands that need no platform.

use serde_json::Value;

use crate::support::{run, stderr, stdout, trellis};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn check_tells_by_its_exit_code_and_lists_for_programs() {
    let folder = folder();
    std::fs::write(folder.path().join("good.toml"), "[module.a]\ncommand = [\"a\"]\n").unwrap();
    std::fs::write(folder.path().join("bad.toml"), "[module.a]\ncommand = \"a\"\n").unwrap();
    let good = run(folder.path(), &["check", "good.toml"]);
    assert!(good.status.success(), "{}", stderr(&good));
    assert!(stdout(&good).contains("good.toml is fine: 1 module(s)"));
    assert_eq!(stdout(&run(folder.path(), &["check", "good.toml", "--json"])), "[]\n");

    let bad = run(folder.path(), &["check", "bad.toml"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(stdout(&bad).contains("bad.toml:2:11"), "{}", stdout(&bad));
    let list: Value =
        serde_json::from_str(&stdout(&run(folder.path(), &["check", "bad.toml", "--json"]))).unwrap();
    assert_eq!(
        (&list[0]["line"], &list[0]["column"], &list[0]["path"]),
        (&2.into(), &11.into(), &"module.a.command".into())
    );

    let missing = run(folder.path(), &["check"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        stderr(&missing).contains("TRL3008")
            && stderr(&missing).contains("trellis.toml: there is no such file")
    );
}

#[test]
fn what_is_no_manifest_at_all_is_told() {
    let folder = folder();
    std::fs::write(folder.path().join("latin1.toml"), b"[app]\n# caf\xe9\n").unwrap();
    std::fs::write(folder.path().join("huge.toml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    for (file, why) in
        [("latin1.toml", "line 2 is not UTF-8"), ("huge.toml", "too large"), (".", "this is a folder")]
    {
        let output = run(folder.path(), &["check", file]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    }
}

#[test]
fn the_configuration_is_shown_with_where_each_value_came_from() {
    let folder = folder();
    let text = "[app]\nname = \"shop\"\nphase = \"monolith\"\n[defaults]\ncommand = [\"shop\"]\ndatabase = \"postgres://u:hunter2@db/x\"\n\
                [defaults.env]\nAPI_TOKEN = \"hunter2\"\nLEVEL = \"1\"\n[module.users]\nhealth = \"/ok\"\n";
    std::fs::write(folder.path().join("trellis.toml"), text).unwrap();
    let output = trellis()
        .current_dir(folder.path())
        .env("TRELLIS_PHASE", "microservices")
        .env("TRELLIS_ADMIN_LISTEN", "127.0.0.1:1")
        .args(["config", "dump", "--admin-listen", "127.0.0.1:2", "--json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!stdout(&output).contains("hunter2"), "{}", stdout(&output));
    let settings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let setting = |key: &str| {
        let found =
            settings.iter().find(|setting| setting["key"] == key).unwrap_or_else(|| panic!("no {key}"));
        (found["value"].clone(), found["source"].as_str().unwrap().to_owned())
    };
    assert_eq!(setting("app.name"), ("shop".into(), "trellis.toml:2".into()));
    assert_eq!(setting("app.phase"), ("microservices".into(), "environment TRELLIS_PHASE".into()));
    assert_eq!(setting("admin.listen"), ("127.0.0.1:2".into(), "--admin-listen".into()));
    assert_eq!(setting("gateway.listen"), ("127.0.0.1:8080".into(), "default".into()));
    assert_eq!(setting("module.users.health"), ("/ok".into(), "trellis.toml:11".into()));
    assert_eq!(setting("module.users.database"), ("postgres://u:***@db/x".into(), "trellis.toml:6".into()));
    assert_eq!(setting("module.users.env.API_TOKEN"), ("***".into(), "trellis.toml:8".into()));
    assert_eq!(setting("module.users.env.LEVEL"), ("1".into(), "trellis.toml:9".into()));

    let table = stdout(&run(folder.path(), &["config", "dump"]));
    assert!(table.starts_with("KEY") && table.contains("trellis.toml:3"), "{table}");
    assert!(!table.contains("hunter2"));
}

#[test]
fn the_schema_is_the_rule_book() {
    let folder = folder();
    let schema: Value = serde_json::from_str(&stdout(&run(folder.path(), &["schema"]))).unwrap();
    assert_eq!(schema["title"], "trellis.toml");
    assert_eq!(schema["properties"]["module"]["type"], "object");
    let openapi: Value = serde_json::from_str(&stdout(&run(folder.path(), &["openapi"]))).unwrap();
    assert!(openapi["paths"]["/v1/status"].is_object() && openapi["paths"]["/v1/services"].is_object());
}

#[test]
fn shells_are_completed() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&run(folder.path(), &["completions", shell]));
        assert!(script.contains("trellis") && script.contains("override"), "{shell}");
        assert!(!script.contains("guardian"), "{shell} offers what is not for people");
    }
}

#[test]
fn codes_are_explained() {
    let folder = folder();
    let page = stdout(&run(folder.path(), &["explain", "trl3002"]));
    assert!(page.starts_with("# TRL3002: Cannot listen\n"), "{page}");
    let list: Vec<Value> =
        serde_json::from_str(&stdout(&run(folder.path(), &["explain", "--json"]))).unwrap();
    assert!(list.iter().any(|entry| entry["code"] == "TRL3010"));
    let unknown = run(folder.path(), &["explain", "TRL9999"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("`trellis explain` without a code"));
}

#[test]
fn the_version_is_told_and_slips_end_with_2() {
    let folder = folder();
    let version = format!("trellis {}\n", env!("CARGO_PKG_VERSION"));
    for args in [&["version"][..], &["-V"], &["--version"]] {
        assert_eq!(stdout(&run(folder.path(), args)), version);
    }
    let json: Value = serde_json::from_str(&stdout(&run(folder.path(), &["version", "--json"]))).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    for args in [
        &[][..],
        &["uqp"],
        &["up", "--phase", "big"],
        &["override", "a", "maybe"],
        &["status", "--admin", "https://a"],
    ] {
        assert_eq!(run(folder.path(), args).status.code(), Some(2), "{args:?}");
    }
}
