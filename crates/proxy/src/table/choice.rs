//! Tests of where requests go: splits, canaries, faults.

use http::Request;
use http::request::Parts;
use proptest::prelude::*;

use super::tests::with_route;
use super::{Destination, Target};

/// Routes to clusters `c0` to `c9`; upstreams are numbered in the order in which the route names them.
fn manifest(route: &str) -> String {
    let cluster = |n| format!("[[cluster]]\nname = 'c{n}'\nendpoints = ['127.0.0.1:{}']\n", 9000 + n);
    let clusters = (0..10).map(cluster).collect::<Vec<_>>().concat();
    format!("{clusters}[[route]]\npath = '/**'\n{route}")
}

fn head(headers: &[(&str, &str)]) -> Parts {
    let request = headers.iter().fold(Request::get("/x"), |r, (name, value)| r.header(*name, *value));
    request.body(()).expect("a request").into_parts().0
}

/// The upstream that the request of `head` is sent to.
fn goes_to(route: &str, head: &Parts, draw: u64) -> usize {
    with_route(&manifest(route), head, |route, view, params| match &route.target {
        Target::Forward(forward) => forward.destination(view, params, draw).upstream,
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_split_gives_each_its_weight() {
    let route =
        "split = [{ cluster = 'c0', weight = 3 }, { cluster = 'c1', weight = 0 }, { cluster = 'c2' }]";
    let mut counts = [0; 3];
    with_route(&manifest(route), &head(&[]), |route, view, params| {
        let Target::Forward(forward) = &route.target else { panic!("not sent on") };
        for step in 0..4000_u64 {
            let draw = step * (u64::MAX / 4000) + u64::MAX / 8000;
            counts[forward.destination(view, params, draw).upstream] += 1;
        }
    });
    assert_eq!(counts, [3000, 0, 1000]);
}

#[test]
fn a_sticky_key_stays_where_it_is_and_its_lack_is_left_to_chance() {
    let route = "split = [{ cluster = 'c0' }, { cluster = 'c1' }]\nsticky = 'request.cookies[\"user\"]'";
    for user in 0..20 {
        let cookie = format!("user={user}");
        let head = head(&[("cookie", &cookie)]);
        let first = goes_to(route, &head, 0);
        assert_eq!(goes_to(route, &head, u64::MAX), first, "{user}");
    }
    assert_eq!((goes_to(route, &head(&[]), 0), goes_to(route, &head(&[]), u64::MAX)), (0, 1));
    // Another gateway, or the next version, sends them to the same places.
    let places: Vec<_> = ["alice", "bob", "carol", "dave", "erin"]
        .map(|user| goes_to(route, &head(&[("cookie", &format!("user={user}"))]), 0))
        .into();
    assert_eq!(places, [1, 0, 0, 1, 1]);
}

#[test]
fn the_first_canary_that_fits_wins() {
    let route = r#"
        cluster = "c0"
        canary = [
            { cluster = "c1", header = { x-canary = "1" }, cookie = { beta = "yes" } },
            { cluster = "c2", header = { x-canary = "*" } },
            { cluster = "c3", when = "request.path.startsWith('/x') && request.headers['a'] == 'b'" },
        ]
    "#;
    for (headers, upstream) in [
        (&[][..], 0),
        (&[("x-canary", "1"), ("cookie", "beta=yes")], 1),
        (&[("x-canary", "1"), ("cookie", "beta=no")], 2),
        (&[("a", "b")], 3),
        (&[("a", "c")], 0),
    ] {
        assert_eq!(goes_to(route, &head(headers), 0), upstream, "{headers:?}");
    }
}

#[test]
fn a_fault_strikes_its_share_of_those_it_is_meant_for() {
    let route = r#"
        cluster = "c0"
        fault = { delay = "100ms", delay_share = 0.5, abort = 503, abort_share = 0.1, when = "'x-fault' in request.headers" }
    "#;
    let strike = |headers: &[(&str, &str)], draws| {
        with_route(&manifest(route), &head(headers), |route, view, params| {
            let fault = route.fault.as_ref().expect("a fault").strike(view, params, draws);
            (fault.delay.is_some(), fault.abort)
        })
    };
    let meant = [("x-fault", "1")];
    assert_eq!(strike(&meant, [0.0, 0.0]), (true, Some(503)));
    assert_eq!(strike(&meant, [0.49, 0.1]), (true, None));
    assert_eq!(strike(&meant, [0.5, 0.09]), (false, Some(503)));
    assert_eq!(strike(&[], [0.0, 0.0]), (false, None));
}

#[test]
fn what_is_nearer_to_the_request_wins() {
    let manifest = r#"
        [gateway]
        timeout = "1s"
        retry = { max = 1 }
        [[cluster]]
        name = "slow"
        endpoints = ["127.0.0.1:1"]
        timeout = "2s"
        retry = { max = 2 }
        [[cluster]]
        name = "plain"
        endpoints = ["127.0.0.1:2"]
        [[route]]
        path = "/x"
        split = [{ cluster = "slow" }, { cluster = "plain" }]
    "#;
    let of = |destination: &Destination| {
        (destination.timeout.as_secs(), destination.retry.as_ref().map(|r| r.max_retries))
    };
    let all = |text: &str| {
        with_route(text, &head(&[]), |route, _, _| match &route.target {
            Target::Forward(forward) => forward.split.iter().map(of).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(all(manifest), [(2, Some(2)), (1, Some(1))]);
    assert_eq!(all(&format!("{manifest}\ntimeout = '3s'\nretry = {{ max = 3 }}")), [(3, Some(3)); 2]);
    assert_eq!(all(&format!("{manifest}\nretry = {{ max = 0 }}")), [(2, None), (1, None)]);
}

proptest! {
    #[test]
    fn weight_that_is_taken_away_moves_only_what_must(keys in prop::collection::vec("[a-z]{1,8}", 1..20)) {
        // c1 gains what c0 loses: nobody else loses a key but to c1, nobody else gains one but from c0.
        let split = |a, b, c| format!("split = [{{ cluster = 'c0', weight = {a} }}, {{ cluster = 'c1', weight = {b} }}, {{ cluster = 'c2', weight = {c} }}]\nsticky = 'request.headers.k'");
        for key in keys {
            let head = head(&[("k", &key)]);
            let (before, after) = (goes_to(&split(50, 20, 30), &head, 0), goes_to(&split(40, 30, 30), &head, 0));
            prop_assert!(after == before || before == 0 || after == 1);
        }
    }
}
