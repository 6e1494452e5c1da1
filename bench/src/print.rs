//! Reports as tables for people.

use std::fmt::Display;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use crate::{chaos, measure};

/// A table whose first column is text and whose others are figures; no lines, so that it can be pasted anywhere.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec()).add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 3));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

fn list(all: &[impl Display]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The middle one; of an even number, the upper of the two in the middle.
pub fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// What one phase costs and carries.
pub fn measured(report: &measure::Report) -> String {
    let starts = |name: &str, ms: &[u64]| vec![name.to_owned(), median(ms).to_string(), list(ms)];
    let starts = table(
        &["start to all ready", "median ms", "each"],
        [
            starts("fresh data directory", &report.fresh_starts_ms),
            starts("existing data directory", &report.later_starts_ms),
        ],
    );
    let processes = report.processes.iter().map(|process| {
        let (idle, loaded) = (process.idle, process.loaded);
        let mut row = vec![process.name.clone()];
        row.extend([idle.rss_kib, idle.pss_kib, idle.private_dirty_kib, loaded.rss_kib].map(mib));
        row.push(format!("{:.3}", process.cpu_per_1000));
        row
    });
    let sum =
        |of: fn(&measure::Usage) -> u64| mib(report.processes.iter().filter(|p| p.platform).map(of).sum());
    let cpu: f64 = report.processes.iter().filter(|p| p.platform).map(|p| p.cpu_per_1000).sum();
    let platform = vec![
        "the platform in all".into(),
        sum(|p| p.idle.rss_kib),
        sum(|p| p.idle.pss_kib),
        sum(|p| p.idle.private_dirty_kib),
        sum(|p| p.loaded.rss_kib),
        format!("{cpu:.3}"),
    ];
    let processes = table(
        &[
            "process",
            "idle RSS MiB",
            "idle PSS MiB",
            "idle dirty MiB",
            "loaded RSS MiB",
            "CPU s / 1000 orders",
        ],
        processes.chain([platform]),
    );
    let latency = report.latency;
    let load = table(
        &["clients", "seconds", "orders", "orders/s", "p50 ms", "p90 ms", "p99 ms", "max ms"],
        [vec![
            report.clients.to_string(),
            report.seconds.to_string(),
            report.orders.to_string(),
            format!("{:.0}", report.orders_per_second),
            format!("{:.1}", latency.p50_ms),
            format!("{:.1}", latency.p90_ms),
            format!("{:.1}", latency.p99_ms),
            format!("{:.1}", latency.max_ms),
        ]],
    );
    let others = if report.others.is_empty() {
        "every answer was a completed order".to_owned()
    } else {
        format!("other answers: {:?}", report.others)
    };
    format!("phase {}\n{starts}\n{processes}\n{load}\n{others}\n", report.phase.as_str())
}

/// What chaos did, and whether every promise was kept.
pub fn chaos(report: &chaos::Report) -> String {
    let orders = report.orders;
    let figures = table(
        &[
            "phase",
            "clients",
            "seconds",
            "placed",
            "acknowledged",
            "refused",
            "unanswered",
            "sent again",
            "quiet after s",
        ],
        [vec![
            report.phase.as_str().to_owned(),
            report.clients.to_string(),
            format!("{:.0}", report.seconds),
            orders.placed.to_string(),
            orders.acknowledged.to_string(),
            orders.refused.to_string(),
            orders.unanswered.to_string(),
            orders.retries.to_string(),
            format!("{:.1}", report.settled_in),
        ]],
    );
    let kills = report.kills.iter().map(|kill| vec![kill.id.clone(), kill.back_in_ms.to_string()]);
    let kills = table(&["kill -9", "ready again after ms"], kills);
    let verdict = if report.violations.is_empty() {
        "every promise was kept: 0 violations\n".to_owned()
    } else {
        // A broken run can have thousands; the first tell the story, the JSON has all.
        let first: Vec<String> = report.violations.iter().take(20).map(|v| format!("  {v}\n")).collect();
        format!("{} VIOLATIONS\n{}", report.violations.len(), first.concat())
    };
    format!("{figures}\n{kills}\n{verdict}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&[900, 100, 200]), 200);
        assert_eq!(median(&[]), 0);
    }
}
