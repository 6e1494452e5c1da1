//! What `trellis up` shows once everything has been started.

use std::fmt::Write as _;

use super::output;
use super::status::in_words;
use crate::up::{ModuleState, ProxyState, Summary};

/// The summary for people: every address, every module, and what to try next.
pub(crate) fn text(summary: &Summary) -> String {
    let mut text = String::new();
    let took = format!("{:.1} s", summary.ready_ms as f64 / 1000.0);
    let _ = match summary.not_ready.len() {
        0 => writeln!(text, "\n{} ({}) is ready after {took}\n", summary.app, summary.phase),
        n => writeln!(
            text,
            "\n{} ({}) has started after {took}, but {n} process(es) are not ready\n",
            summary.app, summary.phase
        ),
    };
    let mut rows = vec![
        ["gateway".to_owned(), summary.gateway.clone(), "clients come here".to_owned()],
        [
            "admin API".to_owned(),
            summary.admin.clone(),
            "operators; GET /openapi.json lists what it has".to_owned(),
        ],
    ];
    let doors = &summary.standard;
    let row = |what: &str, at: &Option<String>, how: &str| {
        at.clone().map(|at| [what.to_owned(), at, how.to_owned()])
    };
    rows.extend(row("Consul", &doors.consul, "for clients of Consul's HTTP API"));
    rows.extend(row("DNS", &doors.dns.map(|at| at.to_string()), "NAME.service.consul, over UDP and TCP"));
    rows.extend(row("Eureka", &doors.eureka.clone().map(|at| at + "/eureka"), "for clients of Eureka"));
    rows.extend(summary.modules.iter().map(module));
    rows.extend(summary.proxies.iter().map(proxy));
    rows.push([
        "data".to_owned(),
        summary.data_dir.clone(),
        "all state; copy it while stopped for a backup".to_owned(),
    ]);
    text += &output::table(["WHAT", "WHERE", "HOW"], rows);
    for process in &summary.not_ready {
        let _ = writeln!(
            text,
            "\n{} is not ready: {}; it is being restarted. It wrote last:",
            process.id, process.reason
        );
        for line in &process.last_lines {
            let _ = writeln!(text, "  | {line}");
        }
    }
    text + &next(summary)
}

fn module(module: &ModuleState) -> [String; 3] {
    let state = serde_json::to_value(module.state).unwrap_or_default();
    let state = in_words(state.as_str().unwrap_or_default()).to_owned();
    let pid = module.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    let process = if module.process == module.id { String::new() } else { format!(" in {}", module.process) };
    let how = format!("{state}{process}{pid}, database {}", module.database);
    [module.id.to_string(), format!("http://127.0.0.1:{}", module.port), how]
}

fn proxy(proxy: &ProxyState) -> [String; 3] {
    let state = serde_json::to_value(proxy.state).unwrap_or_default();
    let state = in_words(state.as_str().unwrap_or_default()).to_owned();
    let pid = proxy.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    let how = format!("{state}{pid}, beside {}, which calls out by port {}", proxy.of, proxy.outbound);
    [proxy.id.to_string(), format!("http://127.0.0.1:{}", proxy.inbound), how]
}

fn next(summary: &Summary) -> String {
    let elsewhere = match summary.admin.as_str() {
        "http://127.0.0.1:7700" => String::new(),
        admin => format!(" --admin {admin}"),
    };
    let mut commands = vec![format!("trellis services{elsewhere}"), format!("trellis status{elsewhere}")];
    commands.extend(summary.try_paths.iter().map(|path| format!("curl {}{path}", summary.gateway)));
    let commands: Vec<_> = commands.iter().map(|command| format!("  {command}\n")).collect();
    format!("\nTry next:\n{}\nCtrl-C stops it all.\n", commands.concat())
}
