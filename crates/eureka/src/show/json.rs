//! Eureka's JSON: attributes are members that begin with `@`, and the text beside them is `$`.

use super::Document;
use crate::read::Port;

/// A document in JSON.
pub(crate) struct Json {
    out: Vec<u8>,
    /// Nothing stands before the next member in its object.
    is_first: bool,
}

impl Default for Json {
    fn default() -> Self {
        Self { out: b"{".to_vec(), is_first: true }
    }
}

impl Json {
    fn comma(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
    }

    fn string(&mut self, text: &str) {
        // Writing a string into memory does not fail.
        let _ = serde_json::to_writer(&mut self.out, text);
    }

    fn key(&mut self, name: &str) {
        self.comma();
        self.string(name);
        self.out.push(b':');
    }
}

impl Document for Json {
    fn begin(&mut self, name: &str, class: Option<&str>) {
        self.key(name);
        self.out.push(b'{');
        self.is_first = true;
        if let Some(class) = class {
            self.text("@class", class);
        }
    }

    fn end(&mut self, _: &str) {
        self.out.push(b'}');
        self.is_first = false;
    }

    fn begin_list(&mut self, name: &str) {
        self.key(name);
        self.out.push(b'[');
        self.is_first = true;
    }

    fn begin_item(&mut self, _: &str) {
        self.comma();
        self.out.push(b'{');
        self.is_first = true;
    }

    fn end_list(&mut self) {
        self.out.push(b']');
        self.is_first = false;
    }

    fn text(&mut self, name: &str, text: &str) {
        self.key(name);
        self.string(text);
    }

    fn free(&mut self, key: &str, text: &str) {
        self.text(key, text);
    }

    fn number(&mut self, name: &str, number: i64) {
        self.key(name);
        self.out.extend_from_slice(number.to_string().as_bytes());
    }

    fn port(&mut self, name: &str, port: Port) {
        self.begin(name, None);
        self.number("$", port.number.into());
        self.text("@enabled", if port.enabled { "true" } else { "false" });
        self.end(name);
    }

    fn overridden(&mut self, status: &str) {
        self.text("overriddenStatus", status);
    }

    fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}
