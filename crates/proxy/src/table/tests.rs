use proptest::prelude::*;

use super::*;
use crate::compile;

/// A table whose routes are told apart by their place in `paths`.
fn table(routes: &[(&str, &[&str])]) -> RouteTable {
    let mut model = trellis_core::model::AppModel::default();
    for (path, methods) in routes {
        let methods: Vec<_> = methods.iter().map(|m| format!("{m:?}")).collect();
        let text = format!("path = {path:?}\nservice = \"any\"\nmethods = [{}]", methods.join(","));
        model.route.push(toml::from_str(&text).expect("a route"));
    }
    compile(&model).expect("no mistakes")
}

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let request = http::Request::builder().method(method).uri(uri);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(()).expect("a request").into_parts().0
}

/// The place of the route that is found, and its tail.
fn find(table: &RouteTable, method: &str, path: &str) -> Option<(usize, String)> {
    let head = head(method, path, &[]);
    match table.lookup(&View::new(&head, None, false)) {
        Lookup::Route { route, captures } => {
            let place = route.origin.trim_start_matches("route[").trim_end_matches(']');
            let tail = route.params(&captures, head.uri.path()).tail().to_owned();
            Some((place.parse().expect("a number"), tail))
        }
        _ => None,
    }
}

fn model(text: &str) -> trellis_core::model::AppModel {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// What `test` makes of the route that a request takes.
pub(super) fn with_route<T>(
    text: &str,
    head: &Parts,
    test: impl FnOnce(&Route, &View<'_>, &Params<'_>) -> T,
) -> T {
    let table = compile(&model(text)).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let view = View::new(head, Some([192, 0, 2, 7].into()), true);
    match table.lookup(&view) {
        Lookup::Route { route, captures } => test(route, &view, &route.params(&captures, head.uri.path())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_most_specific_path_wins() {
    let table = table(&[
        ("/**", &[]),
        ("/api/**", &[]),
        ("/api/users/**", &[]),
        ("/api/users", &[]),
        ("/api/users/me", &[]),
        ("/api/users/me/", &[]),
        ("/größe/**", &[]),
    ]);
    for (path, place, tail) in [
        ("/", 0, "/"),
        ("/x", 0, "/x"),
        ("/apiary", 0, "/apiary"),
        ("/api", 1, ""),
        ("/api/", 1, "/"),
        ("/api/users", 3, ""),
        ("/api/users/", 2, "/"),
        ("/api/users/me", 4, ""),
        ("/api/users/me/", 5, ""),
        ("/api/users/42%2F7", 2, "/42%2F7"),
        ("//api//users//42", 2, "//42"),
        ("/%61pi/%75sers/42", 2, "/42"),
        ("/api%2Fusers/42", 0, "/api%2Fusers/42"),
        ("/gr%c3%b6%C3%9Fe/x", 6, "/x"),
        ("/API/users", 0, "/API/users"),
    ] {
        assert_eq!(find(&table, "GET", path), Some((place, tail.into())), "{path}");
    }
}

#[test]
fn among_equal_paths_the_first_that_takes_the_method_wins() {
    let table = table(&[
        ("/a", &["GET"]),
        ("/a", &["POST", "GET"]),
        ("/a", &[]),
        ("/b", &["PUT"]),
        ("/**", &["GET"]),
    ]);
    for (method, place) in [("GET", 0), ("HEAD", 0), ("POST", 1), ("DELETE", 2), ("PURGE", 2)] {
        assert_eq!(find(&table, method, "/a").map(|f| f.0), Some(place), "{method}");
    }
    // A path of its own is not given up for a wider one that takes the method.
    let head = head("GET", "/b", &[]);
    let Lookup::WrongMethod(allowed) = table.lookup(&View::new(&head, None, false)) else {
        panic!("not a 405")
    };
    assert_eq!(allowed.to_string(), "PUT");
    assert!(find(&table, "GET", "/c").is_some());
}

#[test]
fn without_routes_nothing_is_found() {
    for table in [RouteTable::default(), table(&[("/a", &[])])] {
        let head = head("GET", "/b", &[]);
        assert!(matches!(table.lookup(&View::new(&head, None, false)), Lookup::Nothing));
    }
}

#[test]
fn ten_thousand_routes_are_told_apart() {
    let paths: Vec<String> = (0..10_000)
        .map(|i| format!("/t{}/s{}/r{i}{}", i % 7, i % 113, if i % 2 == 0 { "/**" } else { "" }))
        .collect();
    let routes: Vec<(&str, &[&str])> = paths.iter().map(|p| (p.as_str(), &[][..])).collect();
    let table = table(&routes);
    assert_eq!(table.len(), 10_000);
    for (place, path) in paths.iter().enumerate() {
        let path = path.trim_end_matches("/**");
        assert_eq!(find(&table, "GET", path), Some((place, String::new())));
        let below = format!("{path}/x");
        assert_eq!(find(&table, "GET", &below), (place % 2 == 0).then_some((place, "/x".into())));
    }
}

#[test]
fn parameters_have_names_and_a_literal_is_more_specific() {
    let text = r#"
        [[route]]
        path = "/users/{id}/orders/**"
        service = "a"
        [[route]]
        path = "/users/me/**"
        service = "b"
        [[route]]
        path = "/users/{id}/{part}"
        service = "c"
        [[route]]
        path = "/users/me/{part}"
        service = "d"
        [[route]]
        regex = "/v(?<version>[0-9]+)(/(.*))?"
        service = "e"
    "#;
    for (path, origin, params) in [
        ("/users/7/orders", "route[2]", "id=7 part=orders"),
        ("/users/7/orders/", "route[0]", "id=7"),
        ("/users/a%2Fb//orders/x", "route[0]", "id=a%2Fb"),
        ("/users/me/orders", "route[3]", "part=orders"),
        ("/users/me/orders/x", "route[0]", "id=me"),
        ("/users/me/x/y", "route[1]", ""),
        ("//users//7//x", "route[2]", "id=7 part=x"),
        ("/v2/a/b", "route[4]", "version=2 2=/a/b 3=a/b"),
        ("/v2", "route[4]", "version=2 2= 3="),
        ("//%76%32//a", "route[4]", "version=2 2=/a 3=a"),
    ] {
        let found = with_route(text, &head("GET", path, &[]), |route, _, params| {
            let params: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (route.origin.clone(), params.join(" "))
        });
        assert_eq!(found, (origin.into(), params.into()), "{path}");
    }
}

#[test]
fn hosts_headers_query_and_conditions_choose() {
    let text = r#"
        [[route]]
        path = "/**"
        service = "any"
        [[route]]
        path = "/**"
        hosts = ["*.shop.example"]
        service = "below"
        [[route]]
        path = "/**"
        hosts = ["API.shop.example", "[::1]"]
        service = "host"
        [[route]]
        path = "/x"
        headers = { X-Version = "2", x-debug = "*" }
        service = "headers"
        [[route]]
        path = "/x"
        query = { v = "~[0-9]+" }
        service = "query"
        [[route]]
        path = "/x"
        methods = ["POST"]
        when = """request.address == "192.0.2.7" && request.scheme == "https" && "beta" in request.cookies
                  && request.headers["a"] == "1, 2" && request["query"].q == "ü" && request.host == "h" """
        service = "when"
        [[route]]
        path = "/u/{id}/**"
        when = "params.id.startsWith('t-') && request.path == '/u/t-1/x'"
        service = "params"
    "#;
    let twice: &[(&str, &str)] = &[("a", "1"), ("a", "2"), ("cookie", "x=1; beta="), ("host", "h:1")];
    let debug: &[(&str, &str)] = &[("x-version", "1"), ("x-version", "2"), ("x-debug", "")];
    for (method, uri, headers, origin) in [
        ("GET", "/x", &[][..], "route[0]"),
        ("GET", "/y", &[("host", "a.b.Shop.example:80")], "route[1]"),
        ("GET", "/y", &[("host", "shop.example")], "route[0]"),
        ("GET", "/y", &[("host", "api.shop.example.")], "route[2]"),
        ("GET", "/y", &[("host", "[::1]:80")], "route[2]"),
        ("GET", "http://api.shop.example/y", &[("host", "other")], "route[2]"),
        ("GET", "/x", debug, "route[3]"),
        ("GET", "/x", &debug[..2], "route[0]"),
        ("GET", "/x?v=a&v=12", &[], "route[4]"),
        ("GET", "/x?v=12a", &[], "route[0]"),
        ("POST", "/x?q=%C3%BC", twice, "route[5]"),
        ("POST", "/x", twice, "route[0]"),
        ("GET", "/u/%74-1/x", &[], "route[6]"),
        ("GET", "/u/t-1/y", &[], "route[0]"),
    ] {
        let found = with_route(text, &head(method, uri, headers), |route, _, _| route.origin.clone());
        assert_eq!(found, origin, "{method} {uri} {headers:?}");
    }
}

#[test]
fn a_condition_without_an_answer_does_not_hold_and_is_counted() {
    let table =
        compile(&model("[[route]]\npath = '/x'\nservice = 'a'\nwhen = 'request.headers.missing'")).unwrap();
    assert_eq!(find(&table, "GET", "/x"), None);
    assert_eq!(find(&table, "GET", "/y"), None);
    assert_eq!(table.failed_conditions(), 1);
}

proptest! {
    #[test]
    fn the_tail_is_what_follows_the_prefix(prefix in "(/[a-c]{1,2}){0,3}", rest in "(/[a-d%2F]{0,3}){0,3}") {
        let whole = format!("{prefix}/**");
        let table = table(&[(&whole, &[])]);
        let path = format!("{prefix}{rest}");
        prop_assume!(path.starts_with('/') && crate::path::check(&path).is_ok());
        prop_assert_eq!(find(&table, "GET", &path), Some((0, rest)));
    }
}
