use trellis_core::model::{AppModel, ClusterEndpoint};

use crate::table::{Lookup, Source, Target, View};
use crate::{Mistake, compile};

fn model(text: &str) -> AppModel {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn mistakes(text: &str) -> Vec<String> {
    let all = compile(&model(text)).expect_err("mistakes");
    all.iter().map(Mistake::to_string).collect()
}

fn get(path: &str) -> http::request::Parts {
    http::Request::get(path).body(()).unwrap().into_parts().0
}

const SHOP: &str = r#"
[module.users]
[module.orders]
routes = ["/reports/**", "/status"]

[[cluster]]
name = "legacy"
endpoints = ["127.0.0.1:9000", "[::1]:9001", "old.example:80"]
"#;

fn with_shop(text: &str) -> String {
    format!("{SHOP}\n{text}")
}

#[test]
fn the_design_compiles() {
    let table = compile(&model(&with_shop(
        r#"
        [gateway]
        timeout = "9s"
        max_body_bytes = 1000

        [[route]]
        path = "/api/users/**"
        service = "users"
        rewrite = "/users/**"

        [[route]]
        path = "/old/**"
        cluster = "legacy"
        timeout = "1s"
        max_body_bytes = 5
        methods = ["GET", "POST"]

        [[route]]
        path = "/api/dashboard"
        [route.aggregate]
        users = { service = "users", get = "/users?limit=5", timeout = "500ms" }
        orders = { service = "orders", get = "/orders" }
        [route.aggregate.compute]
        "stats.total_users" = "size(users)"
        "stats.revenue" = "sum(orders.filter(o, o.status != 'cancelled').map(o, o.amount))"
        "#,
    )))
    .unwrap();
    assert_eq!(table.len(), 5);
    let names: Vec<_> = table.upstreams.iter().map(|u| u.name().as_str()).collect();
    assert_eq!(names, ["users", "legacy", "orders"], "each upstream is there once");
    assert!(matches!(table.upstreams[1].source(), Source::Fixed(endpoints) if endpoints.len() == 3));

    let route = |path| {
        let head = get(path);
        match table.lookup(&View::new(&head, None, false)) {
            Lookup::Route { route, .. } => route,
            other => panic!("{path}: {other:?}"),
        }
    };
    assert_eq!((route("/api/users/1").timeout.as_secs(), route("/api/users/1").max_body_bytes), (9, 1000));
    assert_eq!((route("/old/x").timeout.as_secs(), route("/old/x").max_body_bytes), (1, 5));
    let reports = route("/reports/2024");
    let Target::Forward(forward) = &reports.target else { panic!("not sent on") };
    assert!(forward.rewrite.is_none() && forward.split[0].upstream == 2);
    assert_eq!(route("/status").origin, "module.orders.routes[1]");
    let dashboard = route("/api/dashboard");
    let Target::Aggregate(plan) = &dashboard.target else { panic!("not an aggregation") };
    let parts: Vec<_> =
        plan.parts.iter().map(|p| (p.name.as_str(), p.timeout.as_millis(), p.get.as_str())).collect();
    assert_eq!(parts, [("orders", 9000, "/orders"), ("users", 500, "/users?limit=5")]);
    assert!(!dashboard.methods.contains(&http::Method::POST));
}

#[test]
fn each_mistake_names_its_place() {
    for (text, expected) in [
        (
            r#"path = "users"
            service = "users""#,
            r#"route[0].path: "users" does not begin with "/""#,
        ),
        (
            r#"path = "/a/*/b"
            service = "users""#,
            r#"route[0].path: a path is exact, or ends with "/**" for all that is below it; for one segment write {name}"#,
        ),
        (
            r#"path = "/a/x{id}"
            service = "users""#,
            r#"route[0].path: a parameter is a whole segment: "/users/{id}", not "x{id}""#,
        ),
        (
            r#"path = "/a?b"
            service = "users""#,
            r##"route[0].path: a path has no "?" and no "#""##,
        ),
        (
            r#"path = "/a/../b"
            service = "users""#,
            "route[0].path: the path has a '.' or '..' segment; send the path it stands for",
        ),
        (
            r#"path = "/a""#,
            "route[0]: exactly one of `service`, `cluster`, `split`, `aggregate`, `redirect` and `respond` says what becomes of the request",
        ),
        (
            r#"path = "/a"
            service = "users"
            cluster = "legacy""#,
            "route[0]: exactly one of `service`, `cluster`, `split`, `aggregate`, `redirect` and `respond` says what becomes of the request",
        ),
        (
            r#"path = "/a"
            service = "user""#,
            r#"route[0].service: there is no [module.user]; did you mean "users"?"#,
        ),
        (
            r#"path = "/a"
            service = "legacy""#,
            r#"route[0].service: there is no [module.legacy]; there is a cluster of this name: write cluster = "legacy""#,
        ),
        (
            r#"path = "/a"
            cluster = "legcy""#,
            r#"route[0].cluster: there is no [[cluster]] with name = "legcy"; did you mean "legacy"?"#,
        ),
        (
            r#"path = "/a"
            cluster = "users""#,
            r#"route[0].cluster: there is no [[cluster]] with name = "users"; there is a module of this name: write service = "users""#,
        ),
        (
            r#"path = "/a"
            service = "users"
            methods = ["GET", "get"]"#,
            r#"route[0].methods[1]: methods are written in capitals: "GET""#,
        ),
        (
            r#"path = "/a"
            service = "users"
            methods = ["FETCH"]"#,
            r#"route[0].methods[0]: "FETCH" is not a method that is carried: use GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE"#,
        ),
        (
            r#"path = "/a/**"
            service = "users"
            rewrite = "b/**""#,
            r#"route[0].rewrite: "b/**" does not begin with "/""#,
        ),
        (
            r#"path = "/a"
            service = "users"
            rewrite = "/b/**""#,
            r#"route[0].rewrite: "**" stands for what it matched in `path`, but `path` has none"#,
        ),
        (
            r#"path = "/a/**"
            service = "users"
            rewrite = "/b-**""#,
            r#"route[0].rewrite: "**" can stand once, as a whole segment: "/users/**""#,
        ),
        (
            r#"path = "/a/**"
            service = "users"
            rewrite = "/**/**""#,
            r#"route[0].rewrite: "**" can stand once, as a whole segment: "/users/**""#,
        ),
        (
            r#"path = "/a"
            service = "users"
            timeout = "0s""#,
            "route[0].timeout: no wait at all would fail every request: use at least 1ms",
        ),
        (
            r#"path = "/status"
            service = "users""#,
            "module.orders.routes[1]: never reached: route[0] takes the same path and methods",
        ),
    ] {
        assert_eq!(mistakes(&with_shop(&format!("[[route]]\n{text}"))), [expected], "{text}");
    }
}

#[test]
fn mistakes_in_aggregations() {
    let users = r#"users = { service = "users", get = "/users" }"#;
    for (text, expected) in [
        ("", "route[0].aggregate: an aggregation needs parts: name = { service = \"...\", get = \"/...\" }"),
        (
            r#"users = { get = "/users" }"#,
            "route[0].aggregate.users: exactly one of `service` and `cluster` says where the part comes from",
        ),
        (
            r#"users = { service = "user", get = "/users" }"#,
            r#"route[0].aggregate.users.service: there is no [module.user]; did you mean "users"?"#,
        ),
        (
            r#"users = { service = "users", get = "users" }"#,
            r#"route[0].aggregate.users.get: "users" does not begin with "/""#,
        ),
        (
            r#"users = { service = "users", get = "/users", timeout = "0s" }"#,
            "route[0].aggregate.users.timeout: no wait at all would fail every request: use at least 1ms",
        ),
        (
            r#"users = { service = "users", get = "/users", max_bytes = 0 }"#,
            "route[0].aggregate.users.max_bytes: no answer has 0 bytes: use at least 1",
        ),
        (
            r#"errors = { service = "users", get = "/users" }"#,
            "route[0].aggregate.errors: the member \"errors\" tells which parts failed; use another name",
        ),
    ] {
        assert_eq!(
            mistakes(&with_shop(&format!("[[route]]\npath = '/d'\n[route.aggregate]\n{text}"))),
            [expected],
            "{text}"
        );
    }
    for (text, expected) in [
        (
            r#""stats.total" = "size(user)""#,
            r#"route[0].aggregate.compute."stats.total": at character 6: "user" is not a part (parts: users); did you mean "users"?"#,
        ),
        (
            r#"total = "size(users""#,
            "route[0].aggregate.compute.total: at character 11: expected `)`, found the end",
        ),
        (
            r#""users.total" = "1""#,
            r#"route[0].aggregate.compute."users.total": "users" is a part already; put the value under another name"#,
        ),
        (
            r#"errors = "1""#,
            r#"route[0].aggregate.compute.errors: the member "errors" tells which parts failed; use another name"#,
        ),
        (
            r#""a..b" = "1""#,
            r#"route[0].aggregate.compute."a..b": a target is names with dots between them: "stats.total""#,
        ),
        (
            "stats = '1'\n\"stats.total\" = '1'",
            r#"route[0].aggregate.compute."stats.total": "stats" is a value, so it cannot have members, too"#,
        ),
    ] {
        let text =
            format!("[[route]]\npath = '/d'\n[route.aggregate]\n{users}\n[route.aggregate.compute]\n{text}");
        assert_eq!(mistakes(&with_shop(&text)), [expected], "{text}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let found = mistakes(&with_shop(
        r#"
        [gateway]
        timeout = "0s"

        [[cluster]]
        name = "legacy"
        endpoints = []

        [[cluster]]
        name = "other"
        endpoints = ["127.0.0.1", "host:0", "user@host:80", "http://host:80"]

        [[route]]
        path = "/d"
        methods = ["POST"]
        rewrite = "/x"
        max_body_bytes = 3
        [route.aggregate]
        users = { service = "users", get = "/users" }

        [[route]]
        path = "/x/**"
        service = "orders"

        [[route]]
        path = "/%78/**"
        methods = ["GET"]
        service = "users"
        "#,
    ));
    let places: Vec<_> = found.iter().map(|m| m.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(
        places,
        [
            "gateway.timeout",
            "cluster[1].endpoints",
            "cluster[1].name",
            "cluster[2].endpoints[0]",
            "cluster[2].endpoints[1]",
            "cluster[2].endpoints[2]",
            "cluster[2].endpoints[3]",
            "route[0].methods[0]",
            "route[0].rewrite",
            "route[0].max_body_bytes",
            "route[2].path",
        ]
    );
}

#[test]
fn what_the_edge_refuses_is_a_mistake_in_the_manifest() {
    for (setting, place, why) in [
        ("cors = { origins = ['https://*.com'] }", "cors", "two parts"),
        (
            "cors = { origins = ['https://a.example'], headers = ['*'], credentials = true }",
            "cors",
            "headers",
        ),
        ("compression = { types = ['text/*/x'] }", "compression.types[0]", "not a content type"),
        ("compression = { types = ['*/json'] }", "compression", "not a media type"),
        (
            "rate_limit = [{ requests = 1, shared = 'rediss://localhost' }]",
            "rate_limit[0].shared",
            "redis://",
        ),
        ("rate_limit = [{ requests = 1, shared = 'redis://' }]", "rate_limit[0].shared", "redis://"),
    ] {
        let found = mistakes(&with_shop(&format!("[[route]]\npath = '/a'\nservice = 'users'\n{setting}")));
        let [mistake] = &found[..] else { panic!("{setting}: {found:?}") };
        assert!(mistake.starts_with(&format!("route[0].{place}: ")) && mistake.contains(why), "{mistake}");
    }
}

#[test]
fn without_modules_every_service_may_register_itself() {
    let text = "[[route]]\npath = '/a'\nservice = 'somewhere'";
    assert!(compile(&model(text)).is_ok());
    assert!(compile(&model(&with_shop(text))).is_err());
}

proptest::proptest! {
    #[test]
    fn any_text_in_any_place_is_survived(path in "/?\\PC{0,20}", rewrite in "/?[a-z/*%{}]{0,12}", get in "/\\PC{0,20}", endpoint in "\\PC{0,12}") {
        let mut model = model(&with_shop(
            "[[route]]\npath = '/'\nservice = 'users'\n[[route]]\npath = '/'\n[route.aggregate]\nusers = { service = 'users', get = '/' }",
        ));
        model.cluster[0].endpoints.push(ClusterEndpoint::Address(endpoint));
        model.route[0].path = Some(path.clone());
        model.route[0].rewrite = Some(rewrite);
        model.route[1].aggregate.as_mut().unwrap().parts.get_mut("users").unwrap().get = get;
        let request = http::Request::get(path).body(());
        if let (Ok(table), Ok(request)) = (compile(&model), request) {
            let _ = table.lookup(&View::new(&request.into_parts().0, None, false));
        }
    }
}

#[test]
fn upstreams_are_equal_if_their_clusters_are() {
    let table = |cluster: &str| {
        let text = format!(
            "[module.users]\nroutes = ['/u']\n[[cluster]]\nname = 'policy'\n{cluster}\n[[route]]\npath = '/a'\ncluster = 'policy'"
        );
        compile(&model(&text)).unwrap()
    };
    let hash = "service = 'users'\nbalance = 'maglev'\nhash = 'request.path'";
    let one = table(hash);
    assert_eq!(one.upstreams, table(&format!("{hash}\nprotocol = 'http1'")).upstreams);
    assert_ne!(one.upstreams, table(&hash.replace("path", "host")).upstreams);
    assert_ne!(one.upstreams, table(&format!("{hash}\nmax_requests = 5")).upstreams);
    // The route of the module follows the policy for it, too.
    assert_eq!(one.upstreams.len(), 1);
    assert_eq!(table("endpoints = ['127.0.0.1:1']").upstreams.len(), 2);
}
