//! `trellis up` runs an application.

use crate::support::{self, Platform, http};

const ONE: &str = r#"
    [app]
    name = "demo"
    [module.web]
    command = ["./web.py"]
    routes = ["/web/**"]
    env = { GREETING = "hello" }
"#;

#[test]
fn a_python_module_is_started_routed_and_stopped() {
    let folder = support::folder(ONE);
    let platform = Platform::up(folder.path(), &[]);
    assert_eq!(platform.ready["pid"], platform.pid());
    let [module] = platform.ready["modules"].as_array().unwrap().as_slice() else {
        panic!("{}", platform.ready)
    };
    assert_eq!((&module["id"], &module["state"]), (&"web-1".into(), &"ready".into()));

    let answer = http::get(&platform.gateway("/web/items?page=2"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let said = answer.json();
    assert_eq!(said["path"], "/web/items?page=2");
    assert_eq!(said["pid"], module["pid"]);
    assert_eq!(said["GREETING"], "hello");
    assert_eq!((&said["TRELLIS_INSTANCE"], &said["TRELLIS_MODULES"]), (&"web-1".into(), &"web".into()));
    let database = folder.path().join("data/modules/web/web.db");
    assert_eq!(said["DATABASE_URL"], format!("sqlite://{}", database.display()));
    assert_eq!(http::get(&platform.gateway("/elsewhere")).status, 404);

    let run: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("data/run.json")).unwrap()).unwrap();
    assert_eq!(run["gateway"], platform.ready["gateway"]);
    let log = platform.stop();
    assert!(!folder.path().join("data/run.json").exists());
    let line = |text: &str| {
        log.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text} in {log}"))
    };
    // A module's own JSON stays JSON, with what tells where it came from.
    let listening: serde_json::Value = serde_json::from_str(line("green")).unwrap();
    assert_eq!((&listening["level"], &listening["instance"]), (&"WARN".into(), &"web-1".into()));
    assert!(line("a plain line").contains(r#""stream":"stderr""#));
}

#[test]
fn replicas_share_the_work_and_a_module_waits_for_what_it_needs() {
    let folder = support::folder(
        r#"
        [defaults]
        command = ["./web.py"]
        [module.web]
        needs = ["store"]
        replicas = 2
        routes = ["/web/**"]
        [module.store]
        database = "none"
        "#,
    );
    let platform = Platform::up(folder.path(), &[]);
    let ids: Vec<_> =
        platform.ready["modules"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["store-1", "web-1", "web-2"]);
    let mut seen = std::collections::BTreeSet::new();
    support::eventually("both replicas answer", || {
        seen.insert(http::get(&platform.gateway("/web")).json()["TRELLIS_INSTANCE"].to_string());
        (seen.len() == 2).then_some(())
    });
    let log = platform.stop();
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("no {text} in {log}"));
    assert!(
        at(r#"{"instance":"store-1","level":"INFO","message":"ready""#)
            < at(r#"{"instance":"web-1","level":"INFO","message":"starting""#)
    );
}

#[test]
fn the_monolith_is_one_process_and_every_module_is_registered() {
    let folder = support::folder(
        r#"
        [app]
        name = "shop"
        [defaults]
        command = ["./web.py"]
        [module.users]
        [module.orders]
        needs = ["users"]
        routes = ["/orders/**"]
        [module.reports]
        command = ["./web.py"]
        needs = ["orders"]
        "#,
    );
    let platform = Platform::up(folder.path(), &["--phase", "monolith"]);
    let said = http::get(&platform.gateway("/orders/1")).json();
    assert_eq!(
        (&said["TRELLIS_INSTANCE"], &said["TRELLIS_MODULES"]),
        (&"shop-1".into(), &"orders,users".into())
    );
    assert_eq!(
        said["DATABASE_URL"],
        format!("sqlite://{}", folder.path().join("data/modules/shop/shop.db").display())
    );
    let services = http::get(&platform.admin("/v1/services")).json();
    let instance = |service: &str| {
        let service = services.as_array().unwrap().iter().find(|s| s["name"] == service).unwrap();
        assert_eq!(service["status"], "UP", "{service}");
        (service["instances"][0]["id"].clone(), service["instances"][0]["port"].clone())
    };
    let (users, orders, reports) = (instance("users"), instance("orders"), instance("reports"));
    assert_eq!(
        (&users.0, &orders.0, &reports.0),
        (&"users-1".into(), &"orders-1".into(), &"reports-1".into())
    );
    assert_eq!(users.1, orders.1);
    assert_ne!(users.1, reports.1);
    platform.stop();
}

#[test]
fn a_folder_with_one_program_needs_no_manifest() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("hello");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(support::module(), folder.join("web.py")).unwrap();
    let platform = Platform::up(&folder, &[]);
    assert_eq!(platform.ready["app"], "hello");
    let answer = http::get(&platform.gateway("/any/path"));
    assert_eq!((answer.status, &answer.json()["path"]), (200, &"/any/path".into()));
    platform.stop();
}

#[test]
fn a_module_that_does_not_start_is_told_and_the_others_run() {
    let folder = support::folder(
        r#"
        [module.web]
        command = ["./web.py"]
        routes = ["/web/**"]
        [module.broken]
        command = ["sh", "-c", "echo going down >&2; exit 3"]
        routes = ["/broken/**"]
        "#,
    );
    let platform = Platform::up(folder.path(), &[]);
    let [broken] = platform.ready["not_ready"].as_array().unwrap().as_slice() else {
        panic!("{}", platform.ready)
    };
    assert_eq!(broken["id"], "broken-1");
    assert!(broken["reason"].as_str().unwrap().contains('3'), "{broken}");
    assert_eq!(broken["last_lines"][0], "going down");
    assert_eq!(http::get(&platform.gateway("/web")).status, 200);
    let refused = http::get(&platform.gateway("/broken"));
    assert_eq!((refused.status, &refused.json()["code"]), (503, &"TRL1003".into()));
    assert!(refused.head.contains("retry-after: "), "{refused:?}");
    let health = http::get(&platform.admin("/health"));
    assert_eq!(health.status, 503);
    assert_eq!(
        (&health.json()["database"], &health.json()["modules"]),
        (&"OK".into(), &"FAILED: not ready: broken-1".into())
    );
    platform.stop();
}

#[test]
fn a_module_that_is_killed_comes_back_by_itself() {
    let folder = support::folder(ONE);
    let platform = Platform::up(folder.path(), &[]);
    let [first] = platform.modules()[..] else { panic!("{}", platform.ready) };
    let pid = rustix::process::Pid::from_raw(i32::try_from(first).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let second = support::eventually("another process answers", || {
        let answer = http::get(&platform.gateway("/web"));
        // In between it is refused at once; it never hangs.
        assert!([200, 502, 503].contains(&answer.status), "{answer:?}");
        (answer.status == 200).then(|| answer.json()["pid"].as_u64().unwrap()).filter(|pid| *pid != first)
    });
    let status = http::get(&platform.admin("/v1/status")).json();
    assert_eq!(
        (&status["processes"][0]["pid"], &status["processes"][0]["restarts"]),
        (&second.into(), &1.into())
    );
    platform.stop();
}
