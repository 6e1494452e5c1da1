//! The report as tables for people.

use super::changes::Changed;
use super::figures::Metric;
use super::idle::Quiet;
use super::side_by_side::{Beside, Row};
use super::swap::Swapped;
use super::target::Target;
use super::{Figures, Outcome, Report, name};
use crate::print::table;

/// Everything, scenario by scenario.
pub fn report(report: &Report) -> String {
    let mut text = format!(
        "{} cores for proxies, load and upstream together; load average before: {}\n\
         {} workers, {} connections, {} rounds of {} s\n",
        report.cores, report.load_before, report.workers, report.connections, report.rounds, report.seconds
    );
    for outcome in &report.outcomes {
        text.push('\n');
        text.push_str(&scenario(outcome));
    }
    text
}

fn scenario(outcome: &Outcome) -> String {
    let name = name(outcome.scenario);
    let figures = match &outcome.figures {
        Figures::Series(beside) => format!(
            "{name}: medians over the rounds; in brackets, the median multiple of {} in the same round\n{}",
            beside.base,
            series(beside)
        ),
        Figures::Swap(swapped) => {
            format!("{name}: ours, the route table exchanged under load\n{}", swap(swapped))
        }
        Figures::Idle(all) => format!("{name}: memory without load\n{}", idle(all)),
        Figures::Changed(one) => format!("{name}: {}", changed(one)),
    };
    format!("{figures}{}", targets(&outcome.targets))
}

fn series(beside: &Beside) -> String {
    let row = |one: &Row| {
        let version = one.series.version.as_deref().map(|version| format!(" {version}"));
        let mut row = vec![format!("{}{}", one.series.name, version.unwrap_or_default())];
        row.extend(Metric::ALL.map(|metric| cell(one, metric)));
        row.push(one.series.failed().to_string());
        row
    };
    table(
        &["proxy", "requests/s", "p50 ms", "p99 ms", "CPU µs/request", "RSS MB", "PSS MB", "failed"],
        beside.all.iter().map(row),
    )
}

fn cell(row: &Row, metric: Metric) -> String {
    let digits = match metric {
        Metric::PerSecond => 0,
        Metric::P50 | Metric::P99 => 2,
        Metric::Cpu | Metric::Rss | Metric::Pss => 1,
    };
    let (median, ratio) = (row.medians[metric.key()], row.ratios[metric.key()]);
    format!("{median:.digits$} ({ratio:.2})")
}

fn swap(swapped: &Swapped) -> String {
    table(
        &["routes", "exchanges", "median ms", "slowest ms", "requests meanwhile", "p99 ms", "failed"],
        [vec![
            swapped.routes.to_string(),
            swapped.swaps_ms.len().to_string(),
            format!("{:.1}", swapped.median_ms),
            format!("{:.1}", swapped.slowest_ms),
            swapped.requests.to_string(),
            format!("{:.2}", swapped.p99_ms),
            swapped.failed.to_string(),
        ]],
    )
}

fn idle(all: &[Quiet]) -> String {
    let row = |one: &Quiet| {
        let mut row = vec![one.name.clone()];
        row.extend([one.started_rss_mb, one.started_pss_mb].map(|mb| format!("{mb:.1}")));
        row.push(one.connections.to_string());
        row.extend([one.waiting_rss_mb, one.waiting_pss_mb].map(|mb| format!("{mb:.1}")));
        row
    };
    table(&["proxy", "RSS MB", "PSS MB", "waiting connections", "RSS MB", "PSS MB"], all.iter().map(row))
}

fn changed(one: &Changed) -> String {
    let mut text = format!(
        "ours, {} requests/s whatever is answered; latency from when each should have been sent\n",
        one.rate
    );
    text += &table(
        &[
            "changes",
            "median ms",
            "slowest ms",
            "requests",
            "p50 ms",
            "p99 ms",
            "max ms",
            "connections",
            "failed",
        ],
        [vec![
            one.changes_ms.len().to_string(),
            format!("{:.1}", one.median_change_ms),
            format!("{:.1}", one.slowest_change_ms),
            one.requests.to_string(),
            format!("{:.2}", one.p50_ms),
            format!("{:.2}", one.p99_ms),
            format!("{:.2}", one.max_ms),
            one.connections.to_string(),
            one.failed.to_string(),
        ]],
    );
    if !one.reasons.is_empty() {
        text.push('\n');
        text += &table(
            &["what failed", "times"],
            one.reasons.iter().map(|(what, times)| vec![what.clone(), times.to_string()]),
        );
    }
    text
}

pub(crate) fn targets(all: &[Target]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let row = |target: &Target| {
        let verdict = if target.met { "met" } else { "MISSED" };
        let wanted = format!("{} {}", target.wanted, target.limit);
        vec![target.what.clone(), format!("{:.2}", target.value), wanted, verdict.into()]
    };
    format!("\n{}", table(&["target", "measured", "wanted", ""], all.iter().map(row)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::Scenario;
    use crate::proxy::figures::tests::series as made;

    #[test]
    fn figures_stand_beside_their_ratio_and_targets_below() {
        let all = vec![made("ours", &[20.0]), made("nginx", &[25.0])];
        let outcome = Outcome {
            scenario: Scenario::H1,
            figures: Figures::Series(Beside::first_of(all).unwrap()),
            targets: vec![Target::at_most("cpu_us, ours to nginx", 0.8, 1.0)],
        };
        let text = scenario(&outcome);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(words).collect();
        assert_eq!(
            lines[3], "nginx 40000 (0.80) 1.25 (1.25) 5.00 (1.25) 25.0 (1.25) 10.0 (1.00) 5.0 (1.00) 0",
            "{text}"
        );
        assert!(lines.contains(&"cpu_us, ours to nginx 0.80 at most 1 met".into()), "{text}");
    }
}
