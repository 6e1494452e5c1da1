//! Any request against a table with every kind of route: it is looked up without a panic, and in the same way twice.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use trellis_core::model::AppModel;
use trellis_proxy::{RouteTable, compile};

const MANIFEST: &str = r#"
[[cluster]]
name = "a"
endpoints = ["127.0.0.1:1"]
[[route]]
path = "/exact"
cluster = "a"
[[route]]
path = "/users/{id}/orders/**"
hosts = ["shop.example", "*.shop.example"]
cluster = "a"
rewrite = "/o/{id}/**"
[[route]]
path = "/users/**"
headers = { x-version = "~[0-9]+", x-debug = "*" }
query = { v = "1" }
cluster = "a"
[[route]]
path = "/when/**"
when = 'request.headers["x"] == "1" || request.query["q"].startsWith("a") || request.cookies["c"] == request.path'
cluster = "a"
[[route]]
regex = "/v([0-9]+)/(?<name>[^/]*)"
redirect = { to = "https://{host}/{1}/{name}?{query}" }
[[route]]
path = "/**"
respond = { status = 204 }
"#;

static TABLE: LazyLock<RouteTable> = LazyLock::new(|| {
    let model: AppModel = toml::from_str(MANIFEST).expect("a manifest");
    compile(&model).expect("routes")
});

#[derive(Debug, arbitrary::Arbitrary)]
struct Asked<'a> {
    method: &'a [u8],
    target: &'a [u8],
    headers: Vec<(&'a [u8], &'a [u8])>,
}

fuzz_target!(|asked: Asked<'_>| {
    let request = http::Request::builder().method(asked.method).uri(asked.target);
    let request = asked.headers.iter().take(64).fold(request, |request, (name, value)| request.header(*name, *value));
    let Ok(request) = request.body(()) else { return };
    let (head, ()) = request.into_parts();
    let first = TABLE.which(&head, None).map(str::to_owned);
    assert_eq!(TABLE.which(&head, None), first.as_deref());
});
