//! What an event carries.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

/// The message of an event and its details.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) others: Map<String, Value>,
}

impl Fields {
    /// Takes a detail out, as text; empty if it is not there.
    pub(super) fn take(&mut self, name: &str) -> String {
        self.others.remove(name).map(|value| plain(&value)).unwrap_or_default()
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().trim_start_matches("r#").to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a string cannot fail.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.put(field, format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" { self.message.push_str(value) } else { self.put(field, value.into()) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

/// The JSON object that `line` is, if it is one.
pub(super) fn object_in(line: &str) -> Option<Map<String, Value>> {
    if line.starts_with('{') { serde_json::from_str(line).ok() } else { None }
}

/// A value as text, without quotes.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Now, in UTC.
pub(super) fn timestamp() -> String {
    let mut text = String::new();
    // The clock always has a form.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}
