//! The log: one JSON object a line, on stdout, with the module, trace and span it belongs to.

use std::fmt;
use std::io::Write;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::context;

struct JsonLines {
    service: &'static str,
}

struct Fields(Map<String, Value>);

/// Installs the log. `filter` is as in `tracing_subscriber::EnvFilter`: `info`, or `info,shop=debug`.
pub(super) fn install(filter: Option<&str>, service: &'static str) {
    let filter = EnvFilter::new(filter.unwrap_or("info"));
    // A second log in one process, as in tests, is no reason to fail.
    let _ = tracing_subscriber::registry().with(filter).with(JsonLines { service }).try_init();
}

fn line(service: &str, event: &Event<'_>) -> Value {
    let mut time = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    let mut fields = Fields(Map::new());
    fields.0.insert("time".into(), time.into());
    fields.0.insert("level".into(), event.metadata().level().as_str().into());
    match context::current() {
        Some(current) => {
            fields.0.insert("service".into(), current.module.as_str().into());
            fields.0.insert("trace_id".into(), format!("{:032x}", current.trace.trace_id).into());
            fields.0.insert("span_id".into(), format!("{:016x}", current.trace.span_id).into());
            fields.0.insert("request_id".into(), current.request_id.as_ref().into());
        }
        None => {
            fields.0.insert("service".into(), service.into());
        }
    }
    fields.0.insert("target".into(), event.metadata().target().into());
    event.record(&mut fields);
    Value::Object(fields.0)
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = line(self.service, event).to_string();
        text.push('\n');
        // One write for a line, so that lines of several threads do not mix; a closed stdout is nobody's error.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
}
