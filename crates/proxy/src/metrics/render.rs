//! The families, their help and their lines.

use std::sync::Arc;

use trellis_net::cluster::ClusterReport;

use super::endpoints;
use super::gateway::GatewayMetrics;
use super::handles::{ClusterMetrics, LimitMetrics, RouteMetrics};
use super::series::Key;
use super::text::Text;

/// What is shown at one time.
pub(super) struct Scrape {
    pub(super) routes: Vec<(Key<1>, Arc<RouteMetrics>)>,
    pub(super) clusters: Vec<(Key<1>, Arc<ClusterMetrics>)>,
    pub(super) limits: Vec<(Key<1>, Arc<LimitMetrics>)>,
    /// By the kind of name.
    pub(super) overflowed: [(&'static str, u64); 3],
}

/// Reads one count.
type Count = fn(&ClusterMetrics) -> u64;

pub(super) fn render(gateway: &GatewayMetrics, scrape: &Scrape, reports: &[ClusterReport]) -> String {
    let mut text = Text::default();
    whole(&mut text, gateway);
    limits(&mut text, scrape);
    routes(&mut text, &scrape.routes);
    clusters(&mut text, &scrape.clusters);
    endpoints::render(&mut text, reports);
    text.into_string()
}

fn whole(text: &mut Text, gateway: &GatewayMetrics) {
    text.family(
        "trellis_requests_in_flight",
        "gauge",
        "Requests under way, to the last byte of their answer.",
    )
    .sample(&[], gateway.in_flight());
    let mut refused = text.family(
        "trellis_refused_total",
        "counter",
        "Requests the gateway answered with an error of its own.",
    );
    for (code, count) in gateway.by_code() {
        refused.sample(&[("code", code)], count);
    }
    text.family("trellis_connections_open", "gauge", "Connections of clients.").sample(&[], gateway.open());
    text.family("trellis_connections_accepted_total", "counter", "Connections of clients that were taken.")
        .sample(&[], gateway.accepted());
    text.family(
        "trellis_connections_refused_total",
        "counter",
        "Connections of clients that were not taken.",
    )
    .sample(&[], gateway.refused_connections());
    text.family(
        "trellis_table_swap_duration_seconds",
        "histogram",
        "Time to put a new route table in force.",
    )
    .histogram(&[], &gateway.swaps());
    text.family("trellis_table_revision", "gauge", "The revision of the route table in force.")
        .sample(&[], gateway.revision());
}

fn limits(text: &mut Text, scrape: &Scrape) {
    let mut limited = text.family("trellis_limited_total", "counter", "What a limit kept out.");
    for ([limit], metrics) in &scrape.limits {
        limited.sample(&[("limit", limit)], metrics.hits());
    }
    let help = "Names that found no place of their own and were counted as other.";
    let mut overflow = text.family("trellis_metrics_overflow_total", "counter", help);
    for (kind, count) in scrape.overflowed {
        overflow.sample(&[("kind", kind)], count);
    }
}

fn routes(text: &mut Text, routes: &[(Key<1>, Arc<RouteMetrics>)]) {
    let mut requests =
        text.family("trellis_requests_total", "counter", "Requests by route and class of status.");
    for ([route], metrics) in routes {
        for (code, count) in metrics.by_class() {
            requests.sample(&[("route", route), ("code", code)], count);
        }
    }
    let help = "Time from a request's head to the last byte of its answer.";
    let mut durations = text.family("trellis_request_duration_seconds", "histogram", help);
    for ([route], metrics) in routes {
        durations.histogram(&[("route", route)], &metrics.duration());
    }
    let mut bytes = text.family("trellis_request_bytes_total", "counter", "Bytes of requests' bodies.");
    for ([route], metrics) in routes {
        bytes.sample(&[("route", route)], metrics.bytes_in());
    }
    let mut bytes = text.family("trellis_response_bytes_total", "counter", "Bytes of answers' bodies.");
    for ([route], metrics) in routes {
        bytes.sample(&[("route", route)], metrics.bytes_out());
    }
}

fn clusters(text: &mut Text, clusters: &[(Key<1>, Arc<ClusterMetrics>)]) {
    let help = "Calls of a cluster by how they ended, after all attempts.";
    let mut requests = text.family("trellis_upstream_requests_total", "counter", help);
    for ([cluster], metrics) in clusters {
        for (outcome, count) in metrics.by_outcome() {
            requests.sample(&[("cluster", cluster), ("outcome", outcome)], count);
        }
    }
    let help = "Time until a cluster's answer began or failed, over all attempts.";
    let mut durations = text.family("trellis_upstream_duration_seconds", "histogram", help);
    for ([cluster], metrics) in clusters {
        durations.histogram(&[("cluster", cluster)], &metrics.duration());
    }
    let counters: [(_, _, Count); 3] = [
        ("trellis_upstream_retries_total", "Requests that were sent again.", ClusterMetrics::retries),
        (
            "trellis_upstream_retries_denied_total",
            "Requests that the retry budget did not let be sent again.",
            ClusterMetrics::retries_denied,
        ),
        ("trellis_upstream_mirrored_total", "Copies of requests that were sent.", ClusterMetrics::copies),
    ];
    for (name, help, read) in counters {
        let mut family = text.family(name, "counter", help);
        for ([cluster], metrics) in clusters {
            family.sample(&[("cluster", cluster)], read(metrics));
        }
    }
}
