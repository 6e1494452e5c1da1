//! What a lookup costs with 1, 100 and 10,000 routes: `cargo run --release -p trellis-proxy --example lookups`.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use http::Request;
use http::request::Parts;
use trellis_core::model::{AppModel, Route};
use trellis_proxy::{RouteTable, compile};

/// Routes there are.
const SIZES: [usize; 3] = [1, 100, 10_000];

/// Different requests, one after the other.
const REQUESTS: usize = 64;

const ROUNDS: usize = 40;

/// A kind of table: its name, and the route and the request with a number.
type Kind = (&'static str, fn(usize) -> Route, fn(usize) -> (String, String));

const KINDS: [Kind; 4] = [
    ("prefix", prefix, |n| (format!("/api/service-{n}/users/42"), "shop.example".into())),
    ("parameter", parameter, |n| (format!("/api/service-{n}/users/42/orders"), "shop.example".into())),
    ("host", host, |n| ("/api/users/42".into(), format!("tenant-{n}.example"))),
    ("header", header, |n| (format!("/api/service-{n}/users/42"), "shop.example".into())),
];

fn main() {
    println!("{:<12}{}", "ns/lookup", SIZES.map(|size| format!("{size:>10}")).concat());
    for (name, route, request) in KINDS {
        let costs = SIZES.map(|size| {
            let model = AppModel { route: (0..size).map(route).collect(), ..AppModel::default() };
            let table = compile(&model).expect("no mistakes");
            let heads: Vec<Parts> = (0..REQUESTS).map(|n| head(request(n * 7919 % size))).collect();
            format!("{:>10.1}", cost(&table, &heads))
        });
        println!("{name:<12}{}", costs.concat());
    }
}

/// Nanoseconds for each lookup in the fastest round: whatever else runs on the machine only adds to it.
fn cost(table: &RouteTable, heads: &[Parts]) -> f64 {
    let lookups = 20_000 / heads.len();
    let round = || {
        let start = Instant::now();
        for _ in 0..lookups {
            for head in heads {
                assert!(black_box(table.which(black_box(head), None)).is_some());
            }
        }
        start.elapsed()
    };
    let best = (0..ROUNDS).map(|_| round()).min().unwrap_or(Duration::ZERO);
    best.as_nanos() as f64 / (lookups * heads.len()) as f64
}

fn head((path, host): (String, String)) -> Parts {
    let request = Request::get(path).header("host", host).header("x-version", "2");
    request.body(()).expect("a request").into_parts().0
}

fn to_any(path: String) -> Route {
    Route { path: Some(path), service: "any".parse().ok(), ..Route::default() }
}

fn prefix(n: usize) -> Route {
    to_any(format!("/api/service-{n}/**"))
}

fn parameter(n: usize) -> Route {
    to_any(format!("/api/service-{n}/users/{{id}}/orders"))
}

fn host(n: usize) -> Route {
    Route { hosts: vec![format!("tenant-{n}.example")], ..to_any("/**".into()) }
}

fn header(n: usize) -> Route {
    Route { headers: [("x-version".into(), "2".into())].into(), ..prefix(n) }
}
