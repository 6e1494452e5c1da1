//! What is known of the instances of clusters.

use std::fmt::Display;
use std::time::Duration;

use trellis_net::cluster::{ClusterReport, MemberReport};
use trellis_resilience::State;

use super::text::Text;

/// Most instances that are shown, over all clusters. Those beyond are left out, and counted.
const MOST: usize = 5000;

pub(super) fn render(text: &mut Text, reports: &[ClusterReport]) {
    let members = || {
        let all = reports.iter().flat_map(|report| report.members.iter().map(move |member| (report, member)));
        all.take(MOST)
    };
    let help = "Attempts on an instance by how they ended: answered below 500, from 500 on, or not at all.";
    let mut requests = text.family("trellis_endpoint_requests_total", "counter", help);
    for (report, member) in members() {
        for (outcome, count) in
            [("success", member.good), ("error", member.errors), ("failure", member.failures)]
        {
            let labels = [("cluster", report.name.as_str()), ("endpoint", member.id.as_str())];
            requests.sample(&[labels[0], labels[1], ("outcome", outcome)], count);
        }
    }
    let mut each = |name, kind, help, value: &dyn Fn(&MemberReport) -> Box<dyn Display>| {
        let mut family = text.family(name, kind, help);
        for (report, member) in members() {
            let labels = [("cluster", report.name.as_str()), ("endpoint", member.id.as_str())];
            family.sample(&labels, value(member));
        }
    };
    let help = "Seconds until an instance's answers began, all together.";
    each("trellis_endpoint_duration_seconds_total", "counter", help, &|m| Box::new(seconds(m.took)));
    let help = "Attempts on an instance that are under way.";
    each("trellis_endpoint_outstanding", "gauge", help, &|m| Box::new(m.outstanding));
    let help = "Share of traffic relative to the others.";
    each("trellis_endpoint_weight", "gauge", help, &|m| Box::new(m.weight));
    let help = "The breaker of an instance: 0 closed, 1 half-open, 2 open.";
    each("trellis_endpoint_breaker_state", "gauge", help, &|m| Box::new(breaker(m.breaker)));
    let help = "Whether an instance is left out for being worse than the others: 0 no, 1 yes.";
    each("trellis_endpoint_ejected", "gauge", help, &|m| Box::new(u8::from(m.ejected)));
    let help = "Whether active checks find an instance healthy: 0 no, 1 yes.";
    each("trellis_endpoint_healthy", "gauge", help, &|m| Box::new(u8::from(m.healthy)));
    let help = "Kept connections of a cluster that carry no request.";
    let mut idle = text.family("trellis_upstream_idle_connections", "gauge", help);
    for report in reports {
        idle.sample(&[("cluster", report.name.as_str())], report.idle_connections);
    }
    let help = "Requests that a limit of a cluster kept out, or that went elsewhere for it.";
    let mut hits = text.family("trellis_upstream_limited_total", "counter", help);
    for report in reports {
        hits.sample(&[("cluster", report.name.as_str())], report.limit_hits);
    }
    let all: usize = reports.iter().map(|report| report.members.len()).sum();
    let help = "Instances that are not shown, since there are too many.";
    text.family("trellis_endpoints_hidden", "gauge", help).sample(&[], all.saturating_sub(MOST));
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn breaker(state: State) -> u8 {
    match state {
        State::Closed => 0,
        State::HalfOpen => 1,
        State::Open => 2,
    }
}
