//! `trellis status`

use std::fmt::Write as _;

use serde_json::Value;
use trellis_core::Error;
use trellis_runtime::WallClock;

use super::client::AdminUrl;
use super::{output, small_runtime};
use crate::admin::{PlatformStatus, ProcessView};

/// Shows how the platform and its processes are.
pub(crate) fn run(admin: &AdminUrl, json: bool) -> Result<(), Error> {
    let status: PlatformStatus = small_runtime()?.block_on(admin.get("/v1/status"))?;
    if json {
        return output::print_json(&status);
    }
    let now = WallClock::system().unix_millis();
    let mut text = format!(
        "{} ({}) is {}: trellis {}, process {}, up {}\n\n",
        status.app,
        status.phase,
        status.state,
        status.version,
        status.pid,
        output::rough(status.uptime_ms),
    );
    let facts = [("gateway", &status.gateway), ("admin API", &status.admin), ("data", &status.data_dir)];
    text += output::table(["", ""], facts.map(|(name, value)| [name.to_owned(), value.clone()])).trim_start();
    text.push('\n');
    let rows = status.processes.iter().map(|process| row(process, now));
    text += &output::table(["PROCESS", "STATE", "PID", "PORT", "SINCE", "RESTARTS", "MODULES"], rows);
    for process in status.processes.iter().filter(|process| process.state != "ready") {
        trouble(&mut text, process);
    }
    if !status.members.is_empty() {
        let rows = status.members.iter().map(|member| {
            let name = if member.is_this { format!("{} (this)", member.name) } else { member.name.clone() };
            [name, member.address.clone(), output::ago(now, member.started_unix_ms)]
        });
        text.push('\n');
        text += &output::table(["MEMBER", "ADMIN API", "SINCE"], rows);
    }
    let counts = counts(&status.traffic);
    if !counts.is_empty() {
        let _ = writeln!(text, "\ngateway: {}", counts.join(", "));
    }
    output::print(&text)
}

fn row(process: &ProcessView, now: i64) -> [String; 7] {
    let mut modules: Vec<_> = process.modules.iter().map(ToString::to_string).collect();
    modules.extend(process.proxy_of.iter().map(|beside| format!("proxy of {beside}")));
    [
        process.id.to_string(),
        in_words(&process.state).to_owned(),
        process.pid.map(|pid| pid.to_string()).unwrap_or_default(),
        process.port.to_string(),
        output::ago(now, process.since_unix_ms),
        process.restarts.to_string(),
        modules.join(", "),
    ]
}

/// All numbers in `stats` with their names.
fn counts(stats: &Value) -> Vec<String> {
    let members = stats.as_object().into_iter().flatten();
    let counts = members.flat_map(|(name, value)| match value {
        Value::Number(count) => vec![format!("{} {count}", name.replace('_', " "))],
        nested => counts(nested),
    });
    counts.collect()
}

/// A state for people.
pub(super) fn in_words(state: &str) -> &str {
    match state {
        "backoff" => "restarting",
        "unready" => "not answering",
        "waiting" => "waiting for others",
        other => other,
    }
}

fn trouble(text: &mut String, process: &ProcessView) {
    let why = process.last_exit.as_ref().map(|exit| format!(" (ended last with {exit})")).unwrap_or_default();
    let _ = writeln!(text, "\n{} is {}{why}", process.id, in_words(&process.state));
    for line in &process.last_lines {
        let _ = writeln!(text, "  | {line}");
    }
}
