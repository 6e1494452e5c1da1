//! The platform in figures, for Prometheus: the gateway's, and those of what the gateway does not know.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use trellis_proxy::metrics::{self, Text};
use trellis_storage::{Dialect, Store, members};

use super::platform::Platform;
use crate::door_counts::Doors;

/// The figures of the platform in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "platform", operation_id = "metrics", responses((status = 200, body = String, content_type = "text/plain; version=0.0.4")))]
pub(super) async fn metrics(State(platform): State<Arc<Platform>>) -> Response {
    let mut text = Text::default();
    registry(&mut text, &platform.services.stats());
    config(&mut text, &platform.config);
    store(&mut text, &platform.store);
    members(&mut text, &platform.members);
    doors(&mut text, &platform.doors);
    let all = platform.traffic.handle().metrics() + &text.into_string();
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], all).into_response()
}

fn registry(text: &mut Text, stats: &trellis_registry::Stats) {
    let mut one = |name, kind, help, value: u64| text.family(name, kind, help).sample(&[], value);
    one("trellis_registry_instances", "gauge", "Instances that are registered.", stats.instances);
    one("trellis_registry_services", "gauge", "Services that have instances.", stats.services);
    one("trellis_registry_nodes", "gauge", "Nodes that are registered.", stats.nodes);
    one("trellis_registry_checks", "gauge", "Checks that are registered.", stats.checks);
    one("trellis_registry_waiting", "gauge", "Requests that wait for a change.", stats.waiting);
    let help = "Registrations that were accepted.";
    one("trellis_registry_registrations_total", "counter", help, stats.registrations);
    let help = "Removals that were asked for.";
    one("trellis_registry_deregistrations_total", "counter", help, stats.deregistrations);
    one("trellis_registry_renewals_total", "counter", "Leases that were renewed.", stats.renewals);
    one("trellis_registry_expiries_total", "counter", "Leases that ended.", stats.expiries);
    let help = "Times that a service's leases ended in such numbers that they were held back.";
    one("trellis_registry_protections_total", "counter", help, stats.protections);
    let help = "Waits that ended because something changed.";
    one("trellis_registry_wakes_total", "counter", help, stats.wakes);
    let help = "Times that a reader had to fetch everything anew.";
    one("trellis_registry_resyncs_total", "counter", help, stats.resyncs);
    one("trellis_registry_check_runs_total", "counter", "Active checks that ran.", stats.check_runs);
    let help = "Active checks that came late because too many ran.";
    one("trellis_registry_check_delays_total", "counter", help, stats.check_delays);
    let help = "Answers that were made, and not taken from those that were there.";
    one("trellis_registry_answers_made_total", "counter", help, stats.cache_misses);
    let help = "Answers that were taken from those that were there.";
    one("trellis_registry_answers_shared_total", "counter", help, stats.cache_hits);
    let help = "Waits and watches that were refused because there were too many.";
    one("trellis_registry_refused_total", "counter", help, stats.refused);
}

fn config(text: &mut Text, config: &trellis_config::Handle) {
    let mut gauge = |name, help, value: u64| text.family(name, "gauge", help).sample(&[], value);
    gauge("trellis_config_revision", "The revision of the last change.", config.revision());
    gauge("trellis_config_waiting", "Requests that wait for a change.", wide(config.waiting()));
    let help = "Changes that wait for the next write.";
    gauge("trellis_config_changes_waiting", help, wide(config.changes_waiting()));
    let help = "Sessions whose time is counted here.";
    gauge("trellis_config_sessions_counted", help, wide(config.sessions_counted()));
    let help = "Answers that were made, and not taken from those that were there.";
    text.family("trellis_config_answers_made_total", "counter", help).sample(&[], config.answers_made());
}

fn store(text: &mut Text, store: &Store) {
    let help = "Commits; writes that shared one count once.";
    text.family("trellis_store_commits_total", "counter", help).sample(&[], store.commits());
    let help = "The newest revision that this node has heard of.";
    text.family("trellis_feed_revision", "gauge", help).sample(&[], store.revision());
    let state = store.feed_state();
    // A file has no other nodes to hear of.
    let connected = state.connected || store.dialect() == Dialect::Sqlite;
    let help = "Whether changes of other nodes arrive.";
    text.family("trellis_feed_connected", "gauge", help).sample(&[], u8::from(connected));
    let help = "Times that the connection for changes of other nodes was lost.";
    text.family("trellis_feed_losses_total", "counter", help).sample(&[], state.losses);
    let help = "Times that somebody fell behind what is kept in memory, and read from the table.";
    text.family("trellis_feed_lagged_total", "counter", help).sample(&[], state.lagged);
    let help = "Times that somebody was told to begin anew.";
    text.family("trellis_feed_resyncs_total", "counter", help).sample(&[], state.resyncs);
}

fn members(text: &mut Text, handle: &members::Handle) {
    let (epoch, list) = handle.list();
    text.family("trellis_members", "gauge", "Nodes that share the store.").sample(&[], list.len());
    let help = "How often the list of nodes has changed.";
    text.family("trellis_members_epoch", "gauge", help).sample(&[], epoch);
    let help = "Whether this node's own lease holds.";
    text.family("trellis_member_live", "gauge", help).sample(&[], u8::from(handle.is_live()));
}

fn doors(text: &mut Text, doors: &Doors) {
    let open = doors.http();
    let mut requests =
        text.family("trellis_door_requests_total", "counter", "Requests by door and class of status.");
    for (door, counts) in &open {
        for (class, count) in counts.by_class() {
            requests.sample(&[("door", door), ("code", class)], count);
        }
    }
    let help = "Requests whose answer has not begun; those that wait for a change are among them.";
    let mut waiting = text.family("trellis_door_requests_in_flight", "gauge", help);
    for (door, counts) in &open {
        waiting.sample(&[("door", door)], counts.in_flight());
    }
    if let Some(dns) = &doors.dns {
        let stats = dns.stats();
        let mut queries =
            text.family("trellis_dns_queries_total", "counter", "Questions by type and code of the answer.");
        for (kind, code, count) in stats.by_kind_and_code() {
            queries.sample(&[("type", kind), ("code", code)], count);
        }
        let mut counter = |name, help, value: u64| text.family(name, "counter", help).sample(&[], value);
        let help = "Answers that had to leave something out.";
        counter("trellis_dns_truncated_total", help, stats.truncated);
        counter("trellis_dns_malformed_total", "Packets that got no answer.", stats.malformed);
        let help = "Answers that the system did not take in time.";
        counter("trellis_dns_unsent_total", help, stats.unsent);
        counter("trellis_dns_connections_total", "TCP connections that were taken.", stats.connections);
        let help = "TCP connections that were closed at once because there were too many.";
        counter("trellis_dns_refused_connections_total", help, stats.refused_connections);
        let help = "TCP connections that are open.";
        text.family("trellis_dns_connections_open", "gauge", help).sample(&[], stats.open_connections);
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
