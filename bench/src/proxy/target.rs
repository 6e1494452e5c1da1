//! What is wanted of ours, beside what was measured. Missing one is told and never fails a run: it is the machine's
//! figure as much as ours.

use serde::Serialize;

use super::figures::{Metric, Series};

/// One figure that is wanted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Target {
    /// What was measured.
    pub what: String,
    /// What it came to.
    pub value: f64,
    /// `at most` or `at least`.
    pub wanted: &'static str,
    /// The bound.
    pub limit: f64,
    /// Whether the bound was kept.
    pub met: bool,
}

impl Target {
    /// Kept while `value` is no more than `limit`.
    pub fn at_most(what: impl Into<String>, value: f64, limit: f64) -> Self {
        Self { what: what.into(), value, wanted: "at most", limit, met: value <= limit }
    }

    /// Kept while `value` is no less than `limit`.
    pub fn at_least(what: impl Into<String>, value: f64, limit: f64) -> Self {
        Self { what: what.into(), value, wanted: "at least", limit, met: value >= limit }
    }
}

/// A bound on ours as a multiple of a peer's: which peer, of which figure, how much; more is better for requests/s
/// only.
pub(super) type Bound = (&'static str, Metric, f64);

/// HTTP/1.1, one route.
pub(super) const H1: &[Bound] = &[
    ("nginx", Metric::Cpu, 1.0),
    ("haproxy", Metric::Cpu, 0.85),
    ("envoy", Metric::Cpu, 0.33),
    ("floor", Metric::Cpu, 1.25),
    ("nginx", Metric::PerSecond, 1.0),
    ("haproxy", Metric::P99, 1.0),
];
/// gRPC, one route.
pub(super) const GRPC: &[Bound] = &[("envoy", Metric::Cpu, 0.5)];
/// TLS 1.3, one route.
pub(super) const TLS: &[Bound] = &[("nginx", Metric::Cpu, 1.0)];

/// Those bounds that can be told: ours and the peer took part.
pub(super) fn beside(all: &[Series], bounds: &[Bound]) -> Vec<Target> {
    let find = |name: &str| all.iter().find(|series| series.name == name);
    let told = bounds.iter().filter_map(|(peer, metric, limit)| {
        let value = find("ours")?.ratio(find(peer)?, *metric);
        let what = format!("{}, ours to {peer}", metric.key());
        Some(match metric {
            Metric::PerSecond => Target::at_least(what, value, *limit),
            _ => Target::at_most(what, value, *limit),
        })
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::figures::tests::series;

    #[test]
    fn bounds_are_told_for_the_peers_that_took_part() {
        let all = [series("ours", &[18.0]), series("nginx", &[20.0]), series("floor", &[14.0])];
        let told = beside(&all, H1);
        let what: Vec<_> = told.iter().map(|target| (target.what.as_str(), target.met)).collect();
        assert_eq!(
            what,
            [
                ("cpu_us, ours to nginx", true),
                ("cpu_us, ours to floor", false),
                ("per_second, ours to nginx", true)
            ]
        );
        assert_eq!(beside(&all[1..], H1), []);
    }

    #[test]
    fn what_is_no_number_meets_nothing() {
        assert!(!Target::at_most("x", f64::NAN, 1.0).met && !Target::at_least("x", f64::NAN, 1.0).met);
    }
}
