//! When an answer stops being of use, and how that travels from hop to hop.

use std::time::{Duration, Instant};

/// No wait is longer; keeps far deadlines clear of the clock's own end.
const FAR: Duration = Duration::from_hours(365 * 24);

/// The moment after which nobody waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `wait` from `now`, at most a year.
    pub fn after(now: Instant, wait: Duration) -> Self {
        Self(now + wait.min(FAR))
    }

    /// What is left; `None` once it has passed.
    pub fn remaining(self, now: Instant) -> Option<Duration> {
        self.0.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// The moment itself.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// Reads the `trellis-timeout-ms` header: a decimal number of milliseconds. `None` for anything else, so that a
    /// header nobody can read does not cut a request short.
    pub fn parse_header(value: &str) -> Option<Duration> {
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // Only too many digits can fail here.
        Some(value.parse().map_or(FAR, |millis| Duration::from_millis(millis).min(FAR)))
    }

    /// Writes the `trellis-timeout-ms` header. What is left of the last millisecond counts as a whole one, since 0
    /// means that the time is over.
    pub fn header_value(remaining: Duration) -> String {
        remaining.as_millis().max(u128::from(!remaining.is_zero())).to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_passes() {
        let now = Instant::now();
        let deadline = Deadline::after(now, Duration::from_secs(3));
        assert_eq!(deadline.remaining(now + Duration::from_secs(1)), Some(Duration::from_secs(2)));
        assert_eq!(deadline.remaining(now + Duration::from_secs(3)), None);
        assert_eq!(deadline.remaining(now + Duration::from_secs(9)), None);
        assert_eq!(deadline.min(Deadline::after(now, Duration::ZERO)).remaining(now), None);
    }

    #[test]
    fn only_plain_numbers_are_read() {
        assert_eq!(Deadline::parse_header("1500"), Some(Duration::from_millis(1500)));
        assert_eq!(Deadline::parse_header(&"9".repeat(40)), Some(FAR));
        for bad in ["", "-1", "+1", "1.5", " 1", "1s", "1_000", "٣"] {
            assert_eq!(Deadline::parse_header(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in 1_u64..1 << 40) {
            let wait = Duration::from_micros(micros);
            let read = Deadline::parse_header(&Deadline::header_value(wait)).unwrap();
            prop_assert!(!read.is_zero());
            prop_assert!(read.abs_diff(wait) < Duration::from_millis(1));
        }

        #[test]
        fn no_wait_is_too_long(secs: u64) {
            let now = Instant::now();
            prop_assert!(Deadline::after(now, Duration::from_secs(secs)).remaining(now) <= Some(FAR));
        }
    }
}
