//! Log lines for programs.

use std::fmt;

use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::fields::{Fields, object_in, timestamp};
use super::line::TARGET;

/// One JSON object on a line.
pub(super) struct ForPrograms;

/// What a module may call the time in its own lines.
const TIMES: [&str; 4] = ["timestamp", "time", "ts", "@timestamp"];

impl<S, N> FormatEvent<S, N> for ForPrograms
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut object = Map::new();
        let target = event.metadata().target();
        if target == TARGET
            && let Some(inner) = object_in(&fields.message)
        {
            // The module has said it in JSON: its own members stay, ours are added.
            object = inner;
        } else if !fields.message.is_empty() {
            object.insert("message".into(), std::mem::take(&mut fields.message).into());
        }
        if !TIMES.iter().any(|name| object.contains_key(*name)) {
            object.insert("timestamp".into(), timestamp().into());
        }
        object.entry("level").or_insert_with(|| event.metadata().level().as_str().into());
        if target == TARGET {
            object.extend(fields.others);
        } else {
            object.insert("target".into(), target.into());
            for (name, value) in fields.others {
                object.entry(name).or_insert(value);
            }
        }
        writeln!(out, "{}", Value::Object(object))
    }
}
