mod parse;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use trellis_core::codes;
use trellis_net::cluster::MemberReport;
use trellis_resilience::State;

use super::*;
use parse::{Sample, parse};

fn registry(change: impl FnOnce(&mut MetricsOptions)) -> Registry {
    let mut options = MetricsOptions { workers: 3, ..MetricsOptions::default() };
    change(&mut options);
    Registry::new(options)
}

/// The value of a sample, by its name and labels as they are written here.
fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: Vec<_> = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    samples.iter().find(|s| s.name == name && s.labels == labels).map(|s| s.value)
}

#[test]
fn everything_that_happens_is_shown() {
    let registry = registry(|_| ());
    let gateway = registry.gateway();
    gateway.request_begins(0);
    gateway.request_begins(1);
    gateway.request_ends(2);
    gateway.refused(0, codes::NO_ROUTE);
    gateway.connection_accepted(0);
    gateway.connection_accepted(1);
    gateway.connection_closed(1);
    gateway.connection_refused(0);
    gateway.swapped(7, Duration::from_millis(3));
    let route = registry.route("/api/**");
    route.record(1, StatusClass::of(200), Duration::from_millis(2), 10, 20);
    let cluster = registry.cluster("users");
    cluster.record(1, Outcome::Timeout, Duration::from_secs(40));
    cluster.retry(0);
    cluster.retry_denied(1);
    cluster.mirrored(2);
    let limit = registry.limit("requests");
    limit.hit(1);

    let samples = parse(&registry.render(&[report()])).unwrap();
    let users = ("cluster", "users");
    let first = ("endpoint", "users-1");
    for (name, labels, expected) in [
        ("trellis_requests_in_flight", &[][..], 1.0),
        ("trellis_refused_total", &[("code", "TRL1001")], 1.0),
        ("trellis_connections_open", &[], 1.0),
        ("trellis_connections_accepted_total", &[], 2.0),
        ("trellis_connections_refused_total", &[], 1.0),
        ("trellis_table_revision", &[], 7.0),
        ("trellis_table_swap_duration_seconds_count", &[], 1.0),
        ("trellis_table_swap_duration_seconds_sum", &[], 0.003),
        ("trellis_requests_total", &[("route", "/api/**"), ("code", "2xx")], 1.0),
        ("trellis_requests_total", &[("route", "/api/**"), ("code", "5xx")], 0.0),
        ("trellis_request_duration_seconds_bucket", &[("route", "/api/**"), ("le", "0.001")], 0.0),
        ("trellis_request_duration_seconds_bucket", &[("route", "/api/**"), ("le", "0.0025")], 1.0),
        ("trellis_request_bytes_total", &[("route", "/api/**")], 10.0),
        ("trellis_response_bytes_total", &[("route", "/api/**")], 20.0),
        ("trellis_upstream_requests_total", &[users, ("outcome", "timeout")], 1.0),
        ("trellis_upstream_duration_seconds_bucket", &[users, ("le", "30")], 0.0),
        ("trellis_upstream_duration_seconds_bucket", &[users, ("le", "+Inf")], 1.0),
        ("trellis_upstream_retries_total", &[users], 1.0),
        ("trellis_upstream_retries_denied_total", &[users], 1.0),
        ("trellis_upstream_mirrored_total", &[users], 1.0),
        ("trellis_endpoint_requests_total", &[users, first, ("outcome", "error")], 1.0),
        ("trellis_endpoint_outstanding", &[users, first], 1.0),
        ("trellis_endpoint_breaker_state", &[users, first], 2.0),
        ("trellis_endpoint_ejected", &[users, first], 1.0),
        ("trellis_endpoint_healthy", &[users, first], 0.0),
        ("trellis_endpoint_duration_seconds_total", &[users, first], 0.25),
        ("trellis_upstream_idle_connections", &[users], 3.0),
        ("trellis_endpoints_hidden", &[], 0.0),
        ("trellis_limited_total", &[("limit", "requests")], 1.0),
        ("trellis_metrics_overflow_total", &[("kind", "route")], 0.0),
    ] {
        assert_eq!(value(&samples, name, labels), Some(expected), "{name} {labels:?}");
    }
    assert_eq!(value(&samples, "trellis_refused_total", &[("code", "TRL1002")]), None, "it has not happened");
}

#[test]
fn counts_go_on_over_a_swap_and_end_with_the_route() {
    let registry = registry(|_| ());
    let count = |name| {
        value(
            &parse(&registry.render(&[])).unwrap(),
            "trellis_requests_total",
            &[("route", name), ("code", "2xx")],
        )
    };
    let record = |route: &RouteMetrics| route.record(0, StatusClass::Success, Duration::ZERO, 0, 0);
    let (old, gone) = (registry.route("/a"), registry.route("/b"));
    record(&old);
    record(&gone);
    let new = registry.route("/a");
    drop((old, gone));
    record(&new);
    assert_eq!((count("/a"), count("/b")), (Some(2.0), None), "the last look at /b was the first of the two");
    assert_eq!(count("/a"), Some(2.0));
}

#[test]
fn other_is_there_once_and_says_how_many() {
    let registry = registry(|o| o.max_routes = 1);
    let routes = ["/a", "/b", "/c", "other"].map(|name| registry.route(name));
    for route in &routes {
        route.record(0, StatusClass::Success, Duration::ZERO, 0, 0);
    }
    let samples = parse(&registry.render(&[])).unwrap();
    assert_eq!(value(&samples, "trellis_requests_total", &[("route", "other"), ("code", "2xx")]), Some(3.0));
    assert_eq!(value(&samples, "trellis_metrics_overflow_total", &[("kind", "route")]), Some(2.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_name_and_count_comes_back(
        requests in prop::collection::vec(("\\PC{0,6}|[\"\\\\\n{},=]{0,6}", 0..600_u16, 0..100_000_000_u64), 0..40),
    ) {
        let registry = registry(|_| ());
        let mut expected = BTreeMap::<_, (f64, f64)>::new();
        let mut held = Vec::new();
        for (worker, (name, status, micros)) in requests.iter().enumerate() {
            let route = registry.route(name);
            route.record(worker, StatusClass::of(*status), Duration::from_micros(*micros), 0, 0);
            held.push(route);
            let (count, sum) = expected.entry(name).or_default();
            *count += 1.0;
            *sum += *micros as f64 / 1e6;
        }
        let samples = parse(&registry.render(&[])).map_err(TestCaseError::fail)?;
        for (name, (count, sum)) in expected {
            let route = [("route", name.as_str())];
            prop_assert_eq!(value(&samples, "trellis_request_duration_seconds_count", &route), Some(count));
            let found = value(&samples, "trellis_request_duration_seconds_sum", &route).unwrap_or(f64::NAN);
            prop_assert!((found - sum).abs() < 1e-3, "{} is not {}", found, sum);
        }
    }
}

fn report() -> ClusterReport {
    let member = MemberReport {
        id: "users-1".parse().unwrap(),
        weight: 1,
        outstanding: 1,
        good: 0,
        errors: 1,
        failures: 0,
        took: Duration::from_millis(250),
        breaker: State::Open,
        ejected: true,
        healthy: false,
        ewma: None,
        connections: None,
    };
    ClusterReport {
        name: "users".parse().unwrap(),
        members: vec![member],
        idle_connections: 3,
        retries: 0,
        retries_denied: 0,
        limit_hits: 0,
        requests: None,
    }
}
