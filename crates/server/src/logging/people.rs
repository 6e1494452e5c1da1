//! Log lines for people on a terminal.

use std::fmt::{self, Write as _};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::fields::{Fields, object_in, plain, timestamp};
use super::line::TARGET;

/// One line with colours: the time, how bad it is, who speaks, what, and the details.
pub(super) struct ForPeople;

/// The target of the gateway's access log.
const ACCESS: &str = "access";

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let paint = Paint(out.has_ansi_escapes());
        let (colour, name) = level(*event.metadata().level());
        let instance = paint.with(CYAN, &fields.take("instance"));
        write!(out, "{} {} ", paint.with(DIM, &clock()), paint.with(colour, name))?;
        if event.metadata().target() == TARGET {
            return writeln!(out, "{instance} | {}", readable(&fields.message));
        }
        let space = if instance.is_empty() { "" } else { " " };
        let message = if event.metadata().target() == ACCESS { request(&mut fields) } else { fields.message };
        write!(out, "{instance}{space}{}", harmless(&message))?;
        for (name, value) in &fields.others {
            write!(out, " {}{}", paint.with(DIM, &format!("{name}=")), harmless(&plain(value)))?;
        }
        writeln!(out)
    }
}

/// Colours, unless nobody wants them (`NO_COLOR`).
struct Paint(bool);

const DIM: u8 = 2;
const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const BLUE: u8 = 34;
const MAGENTA: u8 = 35;
const CYAN: u8 = 36;

impl Paint {
    fn with(&self, colour: u8, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn level(level: Level) -> (u8, &'static str) {
    match level {
        Level::ERROR => (RED, "error"),
        Level::WARN => (YELLOW, "warn "),
        Level::INFO => (GREEN, "info "),
        Level::DEBUG => (BLUE, "debug"),
        _ => (MAGENTA, "trace"),
    }
}

/// A request in a few words; the rest is for programs.
fn request(fields: &mut Fields) -> String {
    let [method, path, status, micros, flag] =
        ["method", "path", "status", "duration_us", "flag"].map(|name| fields.take(name));
    fields.others.retain(|name, _| name == "request_id");
    let millis = micros.parse::<f64>().unwrap_or_default() / 1000.0;
    let flag = if flag.is_empty() { flag } else { format!(" {flag}") };
    format!("{method} {path} {status}{flag} in {millis:.1} ms")
}

/// A module's line for people: of a JSON object the message, then the other members that say something.
fn readable(line: &str) -> String {
    let Some(mut object) = object_in(line) else { return harmless(line) };
    let message = ["message", "msg"].into_iter().find_map(|name| object.remove(name));
    let mut text = message.map(|value| plain(&value)).unwrap_or_default();
    for known in
        ["timestamp", "time", "ts", "level", "severity", "lvl", "levelname", "module", "instance", "service"]
    {
        object.remove(known);
    }
    for (name, value) in object {
        let _ = write!(text, " {name}={}", plain(&value));
    }
    harmless(text.trim_start())
}

/// Control characters in what others wrote must not steer the terminal.
fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\t' { safe.extend(c.escape_debug()) } else { safe.push(c) }
    }
    safe
}

/// The time of day, in UTC, to the millisecond.
fn clock() -> String {
    let stamp = timestamp();
    let time = stamp.split_once('T').map_or(stamp.as_str(), |(_, time)| time);
    time.get(..12).unwrap_or(time).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_is_told_to_people_as_a_sentence() {
        let line = r#"{"timestamp":"t","level":"INFO","message":"order taken","order":7,"service":"orders"}"#;
        assert_eq!(readable(line), "order taken order=7");
        assert_eq!(readable("plain {text}"), "plain {text}");
    }

    #[test]
    fn a_line_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\tb \x1b[2J"), "a\tb \\u{1b}[2J");
        assert!(!readable("{\"message\":\"\\u001b[31m\"}").contains('\x1b'));
    }
}
