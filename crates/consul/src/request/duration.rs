//! Durations as Go writes them: `1h2m3.5s`, `300ms`.

use std::time::Duration;

/// Longest duration that is understood: beyond it, nothing here would differ.
const MOST: f64 = 100.0 * 365.0 * 24.0 * 3600.0;

/// A duration; `None` if it is none, or negative.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number * unit;
        rest = tail;
    }
    (0.0..=MOST).contains(&seconds).then(|| Duration::from_nanos((seconds * 1e9).round() as u64))
}

/// A duration as Consul's clients read it: whole seconds where it has them, else milliseconds.
pub(crate) fn format_duration(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{}s", duration.as_secs())
    } else if duration.subsec_nanos().is_multiple_of(1_000_000) {
        format!("{}ms", duration.as_millis())
    } else {
        format!("{}ns", duration.as_nanos())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_go_writes_them() {
        let cases = [
            ("10s", 10_000),
            ("1h2m3.5s", 3_723_500),
            ("300ms", 300),
            ("0", 0),
            ("0s", 0),
            (".5s", 500),
            ("3000ms", 3_000),
            ("15.0s", 15_000),
            ("1m30s", 90_000),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "10", "s", "-1s", "1x", "1s ", "..s", "1.2.3s", "1e9s", "9999999999999h"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(nanos in 0..u64::from(u32::MAX) * 1000) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }

        #[test]
        fn nothing_panics(text in ".{0,40}") {
            let _ = parse_duration(&text);
        }
    }
}
