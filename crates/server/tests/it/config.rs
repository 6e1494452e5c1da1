//! `trellis config`, on a platform that runs.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{self, Platform, http, stderr, stdout};

const MANIFEST: &str = r#"
    [config]
    secret_keys = "keys"
    allow_reveal = true
    [module.web]
    command = ["./web.py"]
"#;

fn start(folder: &Path) -> Platform {
    std::fs::write(folder.join("keys"), "one:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n").unwrap();
    Platform::up(folder, &[])
}

#[test]
fn keys_are_written_read_compared_and_brought_back() {
    let folder = support::folder(MANIFEST);
    let platform = start(folder.path());
    let admin = platform.admin("");
    let run = |words: &[&str]| {
        let mut args = vec!["config"];
        args.extend(words);
        args.extend(["--admin", &admin]);
        support::run(folder.path(), &args)
    };
    let ok = |words: &[&str]| {
        let output = run(words);
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        stdout(&output)
    };
    let key = "shop/dev/orders/limits";
    assert_eq!(ok(&["set", key, "{\"max\":1}", "--reason", "first"]), "orders/limits is at version 1\n");
    ok(&["set", key, "{\"max\":2}", "--cas", "1", "--actor", "ada"]);
    let stale = run(&["set", key, "{\"max\":3}", "--cas", "1"]);
    assert!(!stale.status.success() && stderr(&stale).contains("TRL2013"), "{}", stderr(&stale));
    assert_eq!(ok(&["get", key]), "{\"max\":2}\n");
    assert!(ok(&["diff", key, "1", "2"]).contains("-  \"max\": 1\n+  \"max\": 2\n"));
    let history: Value = serde_json::from_str(&ok(&["history", key, "--json"])).unwrap();
    assert_eq!((&history[0]["actor"], &history[1]["reason"]), (&json!("ada"), &json!("first")));
    ok(&["rollback", key, "1"]);
    assert_eq!(ok(&["get", key]), "{\"max\":1}\n");

    std::fs::write(folder.path().join("schema.json"), r#"{"properties": {"max": {"type": "integer"}}}"#)
        .unwrap();
    ok(&["schema", "shop/dev/orders", "--file", "schema.json"]);
    let wrong = run(&["set", key, "{\"max\":\"many\"}"]);
    assert!(stderr(&wrong).contains("TRL2014") && stderr(&wrong).contains("/max"), "{}", stderr(&wrong));
    assert!(stderr(&run(&["set", key, "no json"])).contains("--format text"));

    ok(&["gray", key, "{\"max\":9}", "--label", "zone=b"]);
    assert_eq!(ok(&["get", key, "--instance", "i", "--label", "zone=b"]), "{\"max\":9}\n");
    assert_eq!(ok(&["get", key, "--instance", "i", "--label", "zone=a"]), "{\"max\":1}\n");
    ok(&["gray", key, "--promote"]);
    assert_eq!(ok(&["get", key]), "{\"max\":9}\n");

    std::fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
    let shown = run(&["set", "shop/dev/pw", "hunter2", "--secret", "--format", "text"]);
    assert!(!shown.status.success() && stderr(&shown).contains("--file"), "{}", stderr(&shown));
    ok(&["set", "shop/dev/pw", "--file", "secret", "--format", "text", "--secret"]);
    assert_eq!(ok(&["get", "shop/dev/pw"]), "***\n");
    assert_eq!(ok(&["get", "shop/dev/pw", "--reveal"]), "hunter2\n");
    let list = ok(&["list", "shop/dev"]);
    assert!(list.contains("orders/limits") && list.contains("***") && !list.contains("hunter2"), "{list}");
    assert!(ok(&["audit", "shop/dev/orders"]).contains("promote"));
    let when = "instance.id.startsWith('canary-') && labels.zone == 'b'";
    ok(&["gray", key, "{\"max\":10}", "--when", when]);
    assert_eq!(ok(&["get", key, "--instance", "canary-1", "--label", "zone=b"]), "{\"max\":10}\n");
    assert_eq!(ok(&["get", key, "--instance", "web-1", "--label", "zone=b"]), "{\"max\":9}\n");
    let wrong = run(&["gray", key, "{\"max\":10}", "--when", "host == 'a'"]);
    assert!(stderr(&wrong).contains("`instance.id` and `labels`"), "{}", stderr(&wrong));
    ok(&["delete", key]);
    assert!(stderr(&run(&["get", key])).contains("TRL2004"));
    assert!(ok(&["history", key]).contains("delete"));
    assert_eq!(ok(&["delete", key, "--purge"]), "nothing is left of orders/limits\n");
    assert!(stderr(&run(&["history", key])).contains("TRL2004"));
    assert!(ok(&["audit", "shop/dev/orders"]).contains("purge"));
    assert!(stderr(&run(&["get", "shop"])).contains("APP/ENVIRONMENT/KEY"));
    // What an operator writes is there after a restart.
    platform.stop();
    let again = start(folder.path());
    let view = http::get(&again.admin("/v1/config/shop/dev/keys/pw?reveal=true")).json();
    assert_eq!((&view["value"], &view["version"]), (&json!("hunter2"), &json!(1)));
    let watch = http::get(&again.admin("/v1/config/shop/dev/watch?prefix=")).json();
    assert_eq!((&watch["resync"], watch["items"].as_array().unwrap().len()), (&json!(true), 1));
    for (path, status) in [
        ("/v1/config/shop/dev/keys/a%20b", 400),
        ("/v1/config/Shop/dev/keys", 400),
        ("/v1/config/shop/dev/keys?nonsense=1", 400),
        ("/v1/config/shop/dev/watch?wait=soon", 400),
        ("/v1/config/shop/dev/keys/missing", 404),
    ] {
        assert_eq!(http::get(&again.admin(path)).status, status, "{path}");
    }
    again.stop();
}

#[test]
fn secrets_stay_hidden_unless_the_operator_allows_to_show_them() {
    let folder = support::folder(&MANIFEST.replace("allow_reveal = true", ""));
    let platform = start(folder.path());
    let admin = platform.admin("");
    std::fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
    let run = |words: &[&str]| {
        let args = [&["config"], words, &["--admin", &admin]].concat();
        support::run(folder.path(), &args)
    };
    let set = run(&["set", "shop/dev/pw", "--file", "secret", "--format", "text", "--secret"]);
    assert!(set.status.success(), "{}", stderr(&set));
    let shown = run(&["get", "shop/dev/pw", "--reveal"]);
    let text = stderr(&shown);
    assert!(
        !shown.status.success() && text.contains("TRL2019") && text.contains("allow_reveal = true"),
        "{text}"
    );
    assert_eq!(stdout(&run(&["get", "shop/dev/pw"])), "***\n");
    platform.stop();
}
