//! What the registry counts, in the two forms that Consul has.

use std::fmt::Write as _;

use axum::extract::State;
use serde_json::json;
use trellis_registry::Stats;

use crate::answer::Answer;
use crate::door::Door;
use crate::refusal::Reply;
use crate::request::Params;

/// Name and value.
type Figure = (&'static str, u64);

/// Everything that goes up and down, then everything that only grows.
fn figures(stats: &Stats) -> ([Figure; 5], [Figure; 11]) {
    let gauges = [
        ("trellis_registry_instances", stats.instances),
        ("trellis_registry_services", stats.services),
        ("trellis_registry_nodes", stats.nodes),
        ("trellis_registry_checks", stats.checks),
        ("trellis_registry_waiting", stats.waiting),
    ];
    let counters = [
        ("trellis_registry_registrations_total", stats.registrations),
        ("trellis_registry_deregistrations_total", stats.deregistrations),
        ("trellis_registry_renewals_total", stats.renewals),
        ("trellis_registry_expiries_total", stats.expiries),
        ("trellis_registry_wakes_total", stats.wakes),
        ("trellis_registry_resyncs_total", stats.resyncs),
        ("trellis_registry_check_runs_total", stats.check_runs),
        ("trellis_registry_check_delays_total", stats.check_delays),
        ("trellis_registry_cache_hits_total", stats.cache_hits),
        ("trellis_registry_cache_misses_total", stats.cache_misses),
        ("trellis_registry_refused_total", stats.refused),
    ];
    (gauges, counters)
}

pub(super) async fn metrics(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let (gauges, counters) = figures(&door.registry.stats());
    if params.get("format") == Some("prometheus") {
        let mut text = String::new();
        for (kind, all) in [("gauge", &gauges[..]), ("counter", &counters[..])] {
            for (name, value) in all {
                let _infallible = writeln!(text, "# TYPE {name} {kind}\n{name} {value}");
            }
        }
        return Ok(Answer::text(text));
    }
    let gauges = gauges.map(|(name, value)| json!({"Name": name, "Value": value, "Labels": {}}));
    let counters = counters.map(|(name, value)| {
        json!({
            "Name": name, "Count": value, "Rate": 0, "Sum": value, "Min": 0, "Max": 0, "Mean": 0, "Stddev": 0,
            "Labels": {},
        })
    });
    let answer = json!({
        "Timestamp": "", "Gauges": gauges, "Points": [], "Counters": counters, "Samples": [],
    });
    Ok(Answer::json(&params, &answer))
}
