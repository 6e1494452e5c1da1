//! Lines that modules write.

use serde::Deserialize;
use tracing::Level;

/// The `tracing` target of these lines.
pub(super) const TARGET: &str = "module";

/// Logs a line that `instance` of `module` wrote to `stream`. The level is the line's own if it is a JSON object that
/// has one.
pub fn module_line(module: &str, instance: &str, stream: &str, line: &str) {
    macro_rules! log {
        ($level:expr) => {
            tracing::event!(target: TARGET, $level, module, instance, stream, "{line}")
        };
    }
    // The level of an event is part of its call site.
    match level(line) {
        Level::ERROR => log!(Level::ERROR),
        Level::WARN => log!(Level::WARN),
        Level::INFO => log!(Level::INFO),
        Level::DEBUG => log!(Level::DEBUG),
        _ => log!(Level::TRACE),
    }
}

fn level(line: &str) -> Level {
    #[derive(Deserialize)]
    struct Head {
        #[serde(alias = "severity", alias = "lvl", alias = "levelname")]
        level: Option<String>,
    }
    if !line.starts_with('{') {
        return Level::INFO;
    }
    let head: Option<Head> = serde_json::from_str(line).ok();
    match head.and_then(|head| head.level).unwrap_or_default().to_ascii_lowercase().as_str() {
        "error" | "fatal" | "critical" | "panic" | "alert" | "emergency" => Level::ERROR,
        "warn" | "warning" => Level::WARN,
        "debug" => Level::DEBUG,
        "trace" => Level::TRACE,
        _ => Level::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_has_the_level_it_says() {
        assert_eq!(level(r#"{"severity":"WARNING","message":"x"}"#), Level::WARN);
        assert_eq!(level(r#"{"level":"debug"}"#), Level::DEBUG);
        for plain in ["plain", "{not json", r#"{"level":30}"#, r#"{"a":1}"#, "[\"error\"]"] {
            assert_eq!(level(plain), Level::INFO, "{plain}");
        }
    }
}
