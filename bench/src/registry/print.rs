//! The report as tables for people.

use super::caller::Way;
use super::size::Size;
use super::throughput::Row;
use super::watch::Row as Watched;
use super::{Loaded, Report};
use super::{locks, nodes};
use crate::print::table;
use crate::proxy::{median, target_table};

/// Everything that was measured.
pub fn report(report: &Report) -> String {
    let mut text = format!(
        "{} cores, throughput: {} for a registry, {} for its load; load average before: {}\n\
         {} connections, {} rounds of {} s; medians over the rounds\n",
        report.cores,
        report.server_cores,
        report.load_cores,
        report.load_before,
        report.connections,
        report.rounds,
        report.seconds
    );
    for loaded in &report.throughput {
        text += &throughput(loaded);
    }
    if !report.watch.is_empty() {
        text += &watch(&report.watch);
    }
    for failed in &report.watch_failed {
        let line = ["\nnot measured: ", &failed.what, ": ", &failed.reason, "\n"].concat();
        text += &line;
    }
    if let Some(one) = &report.size {
        text += &size(one);
    }
    if let Some(survived) = &report.nodes {
        text += &nodes(survived);
    }
    if let Some(fought) = &report.locks {
        text += &locks(fought);
    }
    text + &target_table(&report.targets)
}

fn throughput(loaded: &Loaded) -> String {
    let row = |row: &Row| {
        let figure = |name: &str, digits: usize| format!("{:.digits$}", row.medians[name]);
        vec![
            row.peer.name().into(),
            figure("per_second", 0),
            figure("per_cpu_second", 0),
            figure("p50_ms", 2),
            figure("p99_ms", 2),
            figure("rss_mb", 1),
            row.rounds.iter().map(|sample| sample.failed).sum::<u64>().to_string(),
        ]
    };
    let header = ["", "a second", "a CPU second", "p50 ms", "p99 ms", "RSS MB", "failed"];
    format!("\n{}\n{}", loaded.load.title(), table(&header, loaded.rows.iter().map(row)))
}

fn watch(rows: &[Watched]) -> String {
    let row = |row: &Watched| {
        let mut cells = vec![row.peer.name().to_owned(), row.how.to_owned()];
        cells.extend([row.watchers, row.connections, row.changes].map(|count| count.to_string()));
        let ms = [row.acknowledged_ms, row.p50_ms, row.p99_ms, row.max_ms, row.cpu_ms];
        cells.extend(ms.map(|ms| format!("{ms:.1}")));
        cells.push(format!("{:.1}", row.rss_mb));
        cells
    };
    let header = [
        "",
        "how",
        "watchers",
        "connections",
        "changes",
        "acknowledged ms",
        "p50 ms",
        "p99 ms",
        "max ms",
        "CPU ms/change",
        "RSS MB",
    ];
    format!(
        "\nfrom the request for a change until a watcher has it\n{}",
        table(&header, rows.iter().map(row))
    )
}

fn size(size: &Size) -> String {
    let header =
        ["instances", "RSS MB without", "RSS MB with", "RSS MB after a start", "start ms", "the starts"];
    let starts: Vec<String> = size.starts_ms.iter().map(|ms| format!("{ms:.0}")).collect();
    let mut cells = vec![size.instances.to_string()];
    cells.extend([size.empty_rss_mb, size.rss_mb, size.restarted_rss_mb].map(|mb| format!("{mb:.1}")));
    cells.extend([format!("{:.0}", size.start_ms), starts.join(" ")]);
    format!("\nours with many instances\n{}", table(&header, [cells]))
}

fn nodes(report: &nodes::Report) -> String {
    let counts = &report.counts;
    let again = &report.serves_again_ms;
    let slowest = again.iter().copied().fold(f64::NAN, f64::max);
    let mut rows = vec![
        ("kills".to_owned(), again.len().to_string()),
        ("serves again, median ms".into(), format!("{:.0}", median(again.iter().copied()))),
        ("serves again, slowest ms".into(), format!("{slowest:.0}")),
        ("discoveries".into(), counts.discoveries.to_string()),
        ("by the native API, Consul, Eureka, DNS".into(), by_way(counts)),
        ("failed at a node that was not killed".into(), counts.failed_discoveries.to_string()),
        ("cut off by a kill".into(), counts.cut_off_discoveries.to_string()),
        ("registrations acknowledged".into(), counts.registrations.to_string()),
        ("configuration writes acknowledged".into(), counts.writes.to_string()),
        ("either, refused by a node that was not killed".into(), counts.repeated.to_string()),
        ("heartbeats".into(), counts.beats.to_string()),
        ("failed at a node that was not killed".into(), counts.failed_beats.to_string()),
        ("acknowledged and lost".into(), report.lost.to_string()),
    ];
    rows.extend(report.missing.iter().map(|what| ("LOST".into(), what.clone())));
    rows.extend(report.reasons.iter().map(|what| ("failed".into(), what.clone())));
    let rows = rows.into_iter().map(|(what, value)| vec![what, value]);
    format!("\n{} nodes on one PostgreSQL\n{}", report.nodes, table(&["", ""], rows))
}

fn by_way(counts: &nodes::Counts) -> String {
    let count = |way: Way| counts.discoveries_by.get(way.name()).copied().unwrap_or_default().to_string();
    Way::ALL.map(count).join(", ")
}

fn locks(report: &locks::Report) -> String {
    let counts = &report.counts;
    let mut rows = vec![
        ("sessions".to_owned(), counts.sessions.to_string()),
        ("of them without a time to live".into(), counts.untimed.to_string()),
        ("of those, ended with their node".into(), report.ended_with_nodes.to_string()),
        ("locks given".into(), counts.grants.to_string()),
        ("refused: somebody else's, or not yet".into(), counts.refusals.to_string()),
        ("renewals acknowledged".into(), counts.renewals.to_string()),
        ("requests without an answer to rely on".into(), counts.unanswered.to_string()),
        ("holders that vanished".into(), counts.vanished.to_string()),
        ("holders that ended their session".into(), counts.destroyed.to_string()),
        ("looks at a held lock from another node".into(), counts.looks.to_string()),
        ("writes under a lock".into(), counts.writes.to_string()),
        ("writes under an old token, refused".into(), counts.fenced.to_string()),
        ("longest time without any lock given, ms".into(), format!("{:.0}", report.longest_gap_ms)),
        ("violations".into(), report.violations.len().to_string()),
    ];
    rows.extend(report.violations.iter().map(|what| ("VIOLATION".into(), what.clone())));
    let rows = rows.into_iter().map(|(what, value)| vec![what, value]);
    let faults = report.faults.iter().map(|suffered| {
        vec![
            format!("{:?}", suffered.fault),
            suffered.node.map_or_else(String::new, |node| node.to_string()),
            suffered.grants_meanwhile.to_string(),
            format!("{:.0}", suffered.resumed_ms),
        ]
    });
    format!(
        "\n{} clients and {} locks at {} nodes on one PostgreSQL\n{}\n{}",
        report.fighters,
        report.locks,
        report.nodes,
        table(&["", ""], rows),
        table(&["fault", "node", "locks given meanwhile", "again after ms"], faults)
    )
}
