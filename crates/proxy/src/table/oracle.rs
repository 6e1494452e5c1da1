//! What the documentation says about which route wins, written down without a tree and held against it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use http::Request;
use http::request::Parts;
use proptest::prelude::*;
use proptest::sample::select;
use trellis_core::model::{AppModel, Route};

use super::{Lookup, RouteTable, View};
use crate::compile;

/// A request in pieces.
#[derive(Debug, Clone)]
struct Asked {
    method: &'static str,
    host: &'static str,
    path: String,
    query: &'static str,
    version: Option<&'static str>,
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Route(usize),
    /// Which of the methods of the test are allowed.
    WrongMethod(Vec<&'static str>),
    Nothing,
}

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "PURGE"];

fn routes() -> impl Strategy<Value = Vec<Route>> {
    let segment = "(/(a|b|ab|\\{[xy]\\}|%2F)){0,4}(/|/\\*\\*)?";
    let path = segment.prop_filter("no parameter is there twice", |path| {
        !path.is_empty() && path.matches("{x}").count() < 2 && path.matches("{y}").count() < 2
    });
    let place = prop_oneof![
        9 => path.prop_map(|path| (Some(path), None)),
        1 => select(vec!["/a.*", "/(a|b)/[^/]+", ".*/"]).prop_map(|regex| (None, Some(regex.to_owned()))),
    ];
    let hosts = prop::collection::vec(select(vec!["a.example", "*.example", "*.a.example", "b"]), 0..3);
    let methods = prop::collection::vec(select(vec!["GET", "POST", "PUT"]), 0..3);
    let plain = prop_oneof![3 => Just(None), 1 => Just(Some("v")), 1 => Just(Some("x"))];
    let route =
        (place, hosts, methods, plain, 0..3_u8).prop_map(|((path, regex), hosts, methods, extra, few)| {
            let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
            let pair = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
            Route {
                path,
                regex,
                hosts: if few == 0 { owned(hosts) } else { Vec::new() },
                methods: owned(methods),
                query: if extra == Some("v") { pair("v", "~[12]") } else { BTreeMap::new() },
                headers: if extra == Some("x") { pair("x-version", "2") } else { BTreeMap::new() },
                service: Some("any".parse().expect("a name")),
                ..Route::default()
            }
        });
    prop::collection::vec(route, 0..14)
}

fn asked() -> impl Strategy<Value = Asked> {
    let path = "(/(a|b|ab|%61|%2f|)){1,5}/?";
    let host = select(vec!["a.example", "B", "x.a.example:80", "example", ".example", "a.example."]);
    let version = select(vec![None, Some("1"), Some("2")]);
    (select(METHODS.to_vec()), host, path, select(vec!["", "?v=1", "?v=3&v=2", "?w"]), version)
        .prop_map(|(method, host, path, query, version)| Asked { method, host, path, query, version })
}

impl Asked {
    fn head(&self) -> Parts {
        let request = Request::builder().method(self.method).uri(format!("{}{}", self.path, self.query));
        let request = request.header("host", self.host);
        let request =
            self.version.iter().fold(request, |request, version| request.header("x-version", *version));
        request.body(()).expect("a request").into_parts().0
    }

    fn host(&self) -> String {
        self.host.to_lowercase().trim_end_matches(":80").trim_end_matches('.').to_owned()
    }

    fn fits(&self, route: &Route) -> bool {
        let query = ["?v=1", "?v=3&v=2"].contains(&self.query);
        (route.query.is_empty() || query) && (route.headers.is_empty() || self.version == Some("2"))
    }
}

fn pieces(path: &str) -> Vec<String> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.map(|segment| segment.replace("%61", "a").replace("%2f", "%2F")).collect()
}

/// Greater is more specific; none if the path does not match.
fn path_rank(route: &Route, path: &str) -> Option<(u8, usize, Vec<bool>)> {
    let asked = pieces(path);
    let slash = path.ends_with('/');
    let Some(written) = &route.path else {
        let mut whole: String = asked.iter().flat_map(|segment| ["/", segment]).collect();
        whole.push_str(if slash { "/" } else { "" });
        let last = |text: &str| text.split('/').next_back().is_some_and(|last| !last.is_empty());
        let matches = match route.regex.as_deref() {
            Some("/a.*") => whole.starts_with("/a"),
            Some(".*/") => whole.ends_with('/'),
            _ => asked.len() == 2 && ["a", "b"].contains(&asked[0].as_str()) && last(&whole),
        };
        return matches.then_some((0, 0, Vec::new()));
    };
    let prefix = written.strip_suffix("/**");
    let wanted = pieces(prefix.unwrap_or(written));
    let same = |(wanted, asked): (&String, &String)| wanted.starts_with('{') || wanted == asked;
    let enough = match prefix {
        Some(_) => asked.len() >= wanted.len(),
        None => asked.len() == wanted.len() && slash == written.ends_with('/'),
    };
    let literals = wanted.iter().map(|piece| !piece.starts_with('{')).collect();
    (enough && wanted.iter().zip(&asked).all(same)).then_some((
        if prefix.is_some() { 1 } else { 2 },
        wanted.len(),
        literals,
    ))
}

fn host_rank(route: &Route, host: &str) -> Option<usize> {
    if route.hosts.is_empty() {
        return Some(0);
    }
    let rank = |written: &String| match written.strip_prefix('*') {
        Some(suffix) => (host.len() > suffix.len() && host.ends_with(suffix)).then_some(suffix.len()),
        None => (written == host).then_some(usize::MAX),
    };
    route.hosts.iter().filter_map(rank).max()
}

fn oracle(routes: &[Route], asked: &Asked) -> Outcome {
    let takes = |route: &Route, method: &str| {
        route.methods.is_empty() || route.methods.iter().any(|taken| taken == method)
    };
    let mut matching: Vec<_> = routes
        .iter()
        .enumerate()
        .filter_map(|(place, route)| {
            let path = path_rank(route, &asked.path)?;
            let host = host_rank(route, &asked.host())?;
            // Regular expressions are one place, whatever their hosts.
            let host = if path.0 == 0 { 0 } else { host };
            asked.fits(route).then_some((Reverse(path), Reverse(host), place))
        })
        .collect();
    matching.sort();
    let Some((best, ..)) = matching.first() else { return Outcome::Nothing };
    let group: Vec<_> =
        matching.iter().filter(|(path, ..)| path == best).map(|(_, _, place)| *place).collect();
    match group.iter().find(|place| takes(&routes[**place], asked.method)) {
        Some(place) => Outcome::Route(*place),
        None => Outcome::WrongMethod(
            METHODS
                .into_iter()
                .filter(|method| group.iter().any(|place| takes(&routes[*place], method)))
                .collect(),
        ),
    }
}

fn found(table: &RouteTable, asked: &Asked) -> Outcome {
    match table.lookup(&View::new(&asked.head(), None, false)) {
        Lookup::Route { route, .. } => Outcome::Route(
            route.origin.trim_start_matches("route[").trim_end_matches(']').parse().expect("a place"),
        ),
        Lookup::WrongMethod(set) => Outcome::WrongMethod(
            METHODS.into_iter().filter(|method| set.contains(&method.parse().expect("a method"))).collect(),
        ),
        Lookup::Nothing => Outcome::Nothing,
    }
}

/// The table without the routes that are never reached, and where those that are left were.
fn table(routes: &[Route]) -> (RouteTable, Vec<Route>, Vec<usize>) {
    let mut kept: Vec<usize> = (0..routes.len()).collect();
    loop {
        let left: Vec<Route> = kept.iter().map(|place| routes[*place].clone()).collect();
        match compile(&AppModel { route: left.clone(), ..AppModel::default() }) {
            Ok(table) => return (table, left, kept),
            Err(mistakes) => {
                for mistake in mistakes.iter().rev() {
                    assert!(mistake.message.starts_with("never reached"), "{mistake}");
                    let place = mistake.path.trim_start_matches("route[").split(']').next();
                    kept.remove(place.and_then(|place| place.parse().ok()).expect("a place"));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn lookups_agree_with_the_oracle(routes in routes(), requests in prop::collection::vec(asked(), 1..20)) {
        let (table, left, kept) = table(&routes);
        for asked in requests {
            prop_assert_eq!(found(&table, &asked), oracle(&left, &asked), "{:?}", asked);
            // What is said never to be reached never is.
            if let Outcome::Route(place) = oracle(&routes, &asked) {
                prop_assert!(kept.contains(&place), "{} of {:?}", place, routes);
            }
        }
    }

    #[test]
    fn any_request_is_survived(
        routes in routes(),
        path in "/\\PC{0,30}",
        host in prop::collection::vec(any::<u8>(), 0..300),
        header in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let (table, ..) = table(&routes);
        let value = |bytes| http::HeaderValue::from_bytes(bytes).unwrap_or_else(|_| http::HeaderValue::from_static(""));
        let request = Request::get(path).header("host", value(&host)).header("x-version", value(&header));
        if let Ok(request) = request.header("cookie", value(&header)).body(()) {
            let (head, ()) = request.into_parts();
            let view = View::new(&head, None, false);
            if let Lookup::Route { route, captures } = table.lookup(&view) {
                let _ = route.params(&captures, head.uri.path()).iter().count();
            }
            let _ = (view.host(), view.query().count(), view.cookies().count());
        }
    }
}
