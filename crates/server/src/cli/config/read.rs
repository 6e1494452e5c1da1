//! Looking at keys.

use std::time::Duration;

use serde_json::Value;
use trellis_core::Error;
use trellis_runtime::WallClock;

use super::args::{At, Look};
use super::request::{Place, Query};
use crate::cli::{output, small_runtime};

/// How long one question of a watch waits.
const WAIT: Duration = Duration::from_secs(30);

/// Prints the value of a key.
pub(super) fn get(at: &At, look: &Look, json: bool) -> Result<(), Error> {
    let path = Query::default().look(look).after(&Place::of(at)?.key("keys")?);
    let view: Value = small_runtime()?.block_on(at.client.admin.get(&path))?;
    if json {
        return output::print_json(&view);
    }
    output::print(&(text(&view["value"]) + "\n"))
}

/// Lists keys with their values.
pub(super) fn list(at: &At, look: &Look, json: bool) -> Result<(), Error> {
    let place = Place::of(at)?;
    let query = Query::default().look(look).with("prefix", place.rest).with("values", &true);
    let list: Value = small_runtime()?.block_on(at.client.admin.get(&query.after(&place.space("keys"))))?;
    if json {
        return output::print_json(&list);
    }
    let rows = items(&list["items"]).iter().map(|item| {
        let note = match item["candidate_for"].is_null() {
            true => "",
            false if item["is_candidate"] == true => "the candidate",
            false => "has a candidate",
        };
        [text(&item["key"]), item["version"].to_string(), short(&item["value"]), note.to_owned()]
    });
    output::print(&output::table(["KEY", "VERSION", "VALUE", "NOTE"], rows))
}

/// Lists versions.
pub(super) fn history(at: &At, limit: u32, reveal: bool, json: bool) -> Result<(), Error> {
    let query = Query::default().with("limit", &limit).with("reveal", &reveal);
    let path = query.after(&Place::of(at)?.key("history")?);
    let versions: Value = small_runtime()?.block_on(at.client.admin.get(&path))?;
    if json {
        return output::print_json(&versions);
    }
    let now = WallClock::system().unix_millis();
    let rows = items(&versions).iter().map(|version| {
        [
            version["version"].to_string(),
            text(&version["action"]),
            output::ago(now, version["at_unix_ms"].as_i64().unwrap_or_default()),
            text(&version["actor"]),
            text(&version["reason"]),
            short(&version["value"]),
        ]
    });
    output::print(&output::table(["VERSION", "ACTION", "WHEN", "WHO", "WHY", "VALUE"], rows))
}

/// Shows what is different.
pub(super) fn diff(at: &At, from: u64, to: u64, reveal: bool, json: bool) -> Result<(), Error> {
    let query = Query::default().with("from", &from).with("to", &to).with("reveal", &reveal);
    let path = query.after(&Place::of(at)?.key("diff")?);
    let diff: Value = small_runtime()?.block_on(at.client.admin.get(&path))?;
    if json {
        return output::print_json(&diff);
    }
    output::print(&text(&diff["text"]))
}

/// Shows who changed what.
pub(super) fn audit(at: &At, limit: u32, json: bool) -> Result<(), Error> {
    let place = Place::of(at)?;
    let query = Query::default().with("prefix", place.rest).with("limit", &limit);
    let entries: Value =
        small_runtime()?.block_on(at.client.admin.get(&query.after(&place.space("audit"))))?;
    if json {
        return output::print_json(&entries);
    }
    let now = WallClock::system().unix_millis();
    let rows = items(&entries).iter().map(|entry| {
        [
            output::ago(now, entry["at_unix_ms"].as_i64().unwrap_or_default()),
            text(&entry["actor"]),
            text(&entry["action"]),
            text(&entry["key"]),
            text(&entry["version"]),
            text(&entry["reason"]),
        ]
    });
    output::print(&output::table(["WHEN", "WHO", "ACTION", "KEY", "VERSION", "WHY"], rows))
}

/// Prints keys as they change, until it is interrupted or the platform goes away.
pub(super) fn watch(at: &At, look: &Look, json: bool) -> Result<(), Error> {
    let place = Place::of(at)?;
    let path = place.space("watch");
    let runtime = small_runtime()?;
    let mut revision = 0;
    loop {
        let query = Query::default().look(look).with("prefix", place.rest).with("revision", &revision);
        let wait = query.with("wait", &format!("{}s", WAIT.as_secs()));
        let update: Value = runtime.block_on(at.client.admin.get_after(&wait.after(&path), WAIT))?;
        revision = update["revision"].as_u64().unwrap_or_default();
        let changed = items(&update["items"]);
        if changed.is_empty() {
            continue;
        }
        if json {
            output::print_json(&update)?;
            continue;
        }
        for item in changed {
            let value =
                if item["content_type"].is_null() { "(deleted)".into() } else { short(&item["value"]) };
            output::print(&format!("{} {} = {value}\n", text(&item["version"]), text(&item["key"])))?;
        }
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A string without its quotes, anything else as JSON, nothing as nothing.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// On one line, and not a long one.
fn short(value: &Value) -> String {
    const LIMIT: usize = 60;
    let line = text(value).replace('\n', " ");
    match line.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}
