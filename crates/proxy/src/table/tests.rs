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

/// The place of the route that is found, and its tail.
fn find<'p>(table: &RouteTable, method: &str, path: &'p str) -> Option<(usize, &'p str)> {
    match table.lookup(&method.parse().expect("a method"), path) {
        Lookup::Route { route, tail } => {
            let place = route.origin.trim_start_matches("route[").trim_end_matches(']');
            Some((place.parse().expect("a number"), tail))
        }
        _ => None,
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
        assert_eq!(find(&table, "GET", path), Some((place, tail)), "{path}");
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
    let Lookup::WrongMethod(allowed) = table.lookup(&Method::GET, "/b") else { panic!("not a 405") };
    assert_eq!(allowed.to_string(), "PUT");
    assert!(matches!(table.lookup(&Method::GET, "/c"), Lookup::Route { .. }));
}

#[test]
fn without_routes_nothing_is_found() {
    assert!(matches!(RouteTable::default().lookup(&Method::GET, "/"), Lookup::Nothing));
    assert!(matches!(table(&[("/a", &[])]).lookup(&Method::GET, "/b"), Lookup::Nothing));
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
        assert_eq!(find(&table, "GET", path), Some((place, "")));
        let below = format!("{path}/x");
        assert_eq!(find(&table, "GET", &below), (place % 2 == 0).then_some((place, "/x")));
    }
}

/// What the documentation says, written down without a tree: the segments of a path, and whether a slash ends it.
fn naive(path: &str) -> (Vec<String>, bool) {
    let segments =
        path.split('/').filter(|s| !s.is_empty()).map(|s| s.replace("%61", "a").replace("%2f", "%2F"));
    (segments.collect(), path.ends_with('/'))
}

fn oracle(routes: &[String], path: &str) -> Option<usize> {
    let (segments, slash) = naive(path);
    let score = |route: &String| match route.strip_suffix("/**") {
        Some(prefix) => segments.starts_with(&naive(prefix).0).then_some((0, naive(prefix).0.len())),
        None => (naive(route) == (segments.clone(), slash)).then_some((1, 0)),
    };
    let matching = routes.iter().enumerate().filter_map(|(place, route)| Some((score(route)?, place)));
    matching.max_by_key(|(score, place)| (*score, std::cmp::Reverse(*place))).map(|(_, place)| place)
}

proptest! {
    #[test]
    fn lookups_agree_with_the_oracle(
        routes in prop::collection::btree_set("(/(a|b|ab|%2F)){0,4}(/|/\\*\\*)?", 0..12),
        paths in prop::collection::vec("(/(a|b|ab|%61|%2f|)){1,5}/?", 1..30),
    ) {
        let routes: Vec<String> = routes.into_iter().filter(|r| !r.is_empty()).collect();
        let listed: Vec<(&str, &[&str])> = routes.iter().map(|r| (r.as_str(), &[][..])).collect();
        let table = table(&listed);
        for path in paths {
            prop_assert_eq!(find(&table, "GET", &path).map(|f| f.0), oracle(&routes, &path), "{}", path);
        }
    }

    #[test]
    fn the_tail_is_what_follows_the_prefix(prefix in "(/[a-c]{1,2}){0,3}", rest in "(/[a-d%2F]{0,3}){0,3}") {
        let whole = format!("{prefix}/**");
        let table = table(&[(&whole, &[])]);
        let path = format!("{prefix}{rest}");
        prop_assume!(path.starts_with('/') && crate::path::check(&path).is_ok());
        prop_assert_eq!(find(&table, "GET", &path), Some((0, rest.as_str())));
    }
}
