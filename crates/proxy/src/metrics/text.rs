//! The text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write};

use super::histogram::{BOUNDS, Read};

/// The `Content-Type` of what [`Registry::render`](super::Registry::render) gives.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A text as it grows. All lines of a family stand together, under its `HELP` and `TYPE`.
#[derive(Debug, Default)]
pub struct Text(String);

/// The lines of one family.
pub struct Family<'t> {
    text: &'t mut String,
    name: &'static str,
}

/// Names and values of labels, in the order in which they are written.
pub type Labels<'l> = &'l [(&'static str, &'l str)];

impl Text {
    /// Begins a family; `kind` is `counter`, `gauge` or `histogram`. The help has no line breaks and no backslashes.
    pub fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        // Writing to a string does not fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { text: &mut self.0, name }
    }

    /// The whole text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// One sample.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.line("", labels, None, value);
    }

    /// The samples of one histogram.
    pub(super) fn histogram(&mut self, labels: Labels<'_>, read: &Read) {
        let mut so_far = 0;
        for (bound, count) in BOUNDS.iter().zip(read.counts) {
            so_far += count;
            self.line("_bucket", labels, Some(&seconds(*bound)), so_far);
        }
        self.line("_bucket", labels, Some("+Inf"), read.count());
        self.line("_sum", labels, None, seconds(read.sum));
        self.line("_count", labels, None, read.count());
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, le: Option<&str>, value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let mut open = '{';
        for (name, value) in labels.iter().copied().chain(le.map(|le| ("le", le))) {
            let _ = write!(self.text, "{open}{name}=\"");
            escape(self.text, value);
            self.text.push('"');
            open = ',';
        }
        if open == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// Label values may have anything, but three characters are escaped.
fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

/// Without the loss that a floating-point number would bring into a large sum.
fn seconds(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:06}").trim_end_matches('0').into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_are_written_as_seconds() {
        let written = [0, 1, 500, 1_000_000, 2_500_000, u64::MAX].map(seconds);
        assert_eq!(written, ["0", "0.000001", "0.0005", "1", "2.5", "18446744073709.551615"]);
    }

    #[test]
    fn labels_are_escaped() {
        let mut text = Text::default();
        text.family("a", "gauge", "A.").sample(&[("b", "\"x\\\n"), ("c", "ö")], 1);
        assert_eq!(text.into_string(), "# HELP a A.\n# TYPE a gauge\na{b=\"\\\"x\\\\\\n\",c=\"ö\"} 1\n");
    }
}
