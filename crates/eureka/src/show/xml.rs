//! Eureka's XML.

use std::fmt::Write as _;

use quick_xml::escape::escape;

use super::Document;
use crate::read::{Port, is_character};

/// A document in XML.
#[derive(Default)]
pub(crate) struct Xml(String);

impl Xml {
    fn open(&mut self, name: &str, attribute: Option<(&str, &str)>) {
        self.0.push('<');
        self.0.push_str(name);
        if let Some((key, value)) = attribute {
            self.0.extend([" ", key, "=\"", &escape(value), "\""]);
        }
        self.0.push('>');
    }

    fn close(&mut self, name: &str) {
        self.0.extend(["</", name, ">"]);
    }

    fn element(&mut self, name: &str, text: &str) {
        self.open(name, None);
        // Clients would not take a document with characters that XML does not have.
        if text.chars().all(is_character) {
            self.0.push_str(&escape(text));
        } else {
            let text: String = text.chars().map(|c| if is_character(c) { c } else { '\u{fffd}' }).collect();
            self.0.push_str(&escape(text.as_str()));
        }
        self.close(name);
    }
}

impl Document for Xml {
    fn begin(&mut self, name: &str, class: Option<&str>) {
        self.open(name, class.map(|class| ("class", class)));
    }

    fn end(&mut self, name: &str) {
        self.close(name);
    }

    fn begin_list(&mut self, _: &str) {}

    fn begin_item(&mut self, name: &str) {
        self.open(name, None);
    }

    fn end_list(&mut self) {}

    fn text(&mut self, name: &str, text: &str) {
        self.element(name, text);
    }

    fn free(&mut self, key: &str, text: &str) {
        self.element(&encode(key), text);
    }

    fn number(&mut self, name: &str, number: i64) {
        self.element(name, &number.to_string());
    }

    fn port(&mut self, name: &str, port: Port) {
        self.open(name, Some(("enabled", if port.enabled { "true" } else { "false" })));
        self.0.push_str(&port.number.to_string());
        self.close(name);
    }

    fn overridden(&mut self, status: &str) {
        self.text("overriddenstatus", status);
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

/// A key as the name of an element, as clients in Java read it back: `_` as `__`, `$` as `_-`, and what a name cannot
/// have as `_.` and four hexadecimal digits (the encoding of `XStream`).
fn encode(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    for (at, character) in key.char_indices() {
        match character {
            '_' => name.push_str("__"),
            '$' => name.push_str("_-"),
            'a'..='z' | 'A'..='Z' => name.push(character),
            '0'..='9' | '-' | '.' if at > 0 => name.push(character),
            other => {
                let mut units = [0; 2];
                for unit in other.encode_utf16(&mut units) {
                    // Writing into a string does not fail.
                    let _ = write!(name, "_.{unit:04x}");
                }
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_is_a_name() {
        for (key, name) in [
            ("management.port", "management.port"),
            ("my_key", "my__key"),
            ("a$b", "a_-b"),
            ("1st", "_.0031st"),
            ("a b:c", "a_.0020b_.003ac"),
            ("ü", "_.00fc"),
            ("-", "_.002d"),
        ] {
            assert_eq!(encode(key), name);
        }
    }

    #[test]
    fn text_cannot_leave_its_element() {
        let mut out = Xml::default();
        out.text("a", "</a><b x='1'>&amp;\u{0}\n");
        assert_eq!(
            String::from_utf8(out.finish()).unwrap(),
            "<a>&lt;/a&gt;&lt;b x=&apos;1&apos;&gt;&amp;amp;\u{fffd}\n</a>"
        );
    }
}
