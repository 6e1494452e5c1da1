//! When an answer stops being of use, and how that travels from hop to hop.

use std::time::{Duration, Instant};

/// The units of `grpc-timeout`, smallest first, in nanoseconds.
const GRPC_UNITS: [(char, u64); 6] = [
    ('n', 1),
    ('u', 1_000),
    ('m', 1_000_000),
    ('S', 1_000_000_000),
    ('M', 60_000_000_000),
    ('H', 3_600_000_000_000),
];

/// Most digits of `grpc-timeout`.
const GRPC_DIGITS: usize = 8;

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

    /// What the next hop is given: what is left, less `margin` for the way back and our own work. `None` if the next hop
    /// would have no time at all.
    pub fn for_next_hop(self, now: Instant, margin: Duration) -> Option<Duration> {
        self.remaining(now)?.checked_sub(margin).filter(|left| !left.is_zero())
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

    /// Reads the `grpc-timeout` header: up to eight digits and a unit. `None` for anything else.
    pub fn parse_grpc(value: &str) -> Option<Duration> {
        let (unit, nanos) = GRPC_UNITS.into_iter().find(|(unit, _)| value.ends_with(*unit))?;
        let digits = value.strip_suffix(unit)?;
        if !(1..=GRPC_DIGITS).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let count = digits.parse::<u64>().ok()?;
        // Only hours can be more nanoseconds than 64 bits hold.
        Some(count.checked_mul(nanos).map_or(FAR, |nanos| Duration::from_nanos(nanos).min(FAR)))
    }

    /// Writes the `grpc-timeout` header in the smallest unit that has room for it. What does not fill a unit is left
    /// out: the next hop gives up no later than we do.
    pub fn grpc_value(remaining: Duration) -> String {
        let nanos = remaining.min(FAR).as_nanos();
        let counts = GRPC_UNITS.map(|(unit, size)| (nanos / u128::from(size), unit));
        let fits =
            |(count, _): &(u128, char)| count.checked_ilog10().is_none_or(|log| (log as usize) < GRPC_DIGITS);
        // A year of hours always fits.
        let (count, unit) = counts.into_iter().find(fits).unwrap_or((0, 'n'));
        format!("{count}{unit}")
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

    #[test]
    fn grpc_timeouts_are_read_and_written() {
        for (value, wait) in [
            ("0n", Duration::ZERO),
            ("250m", Duration::from_millis(250)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("5S", Duration::from_secs(5)),
            ("3M", Duration::from_mins(3)),
            ("1H", Duration::from_hours(1)),
            ("99999999H", FAR),
        ] {
            assert_eq!(Deadline::parse_grpc(value), Some(wait), "{value}");
        }
        for bad in ["", "n", "5", "5s", "-5S", "+5S", "1.5S", "123456789n", " 5S", "5 S", "٣S", "5é"] {
            assert_eq!(Deadline::parse_grpc(bad), None, "{bad:?}");
        }
        let written = [1, 99_999_999, 100_000_000, 1_234_567_890]
            .map(|n| Deadline::grpc_value(Duration::from_nanos(n)));
        assert_eq!(written, ["1n", "99999999n", "100000u", "1234567u"]);
        assert_eq!(Deadline::grpc_value(Duration::MAX), "31536000S");
    }

    #[test]
    fn the_next_hop_has_less_time() {
        let now = Instant::now();
        let deadline = Deadline::after(now, Duration::from_millis(100));
        let hop = |margin| deadline.for_next_hop(now, Duration::from_millis(margin));
        assert_eq!(
            [0, 30, 100, 900].map(hop),
            [Some(100), Some(70), None, None].map(|ms| ms.map(Duration::from_millis))
        );
    }

    proptest! {
        #[test]
        fn a_grpc_timeout_is_read_back_no_longer_and_hardly_shorter(nanos: u64) {
            let wait = Duration::from_nanos(nanos).min(FAR);
            let value = Deadline::grpc_value(wait);
            prop_assert!(value.len() <= 9);
            let read = Deadline::parse_grpc(&value).unwrap();
            prop_assert!(read <= wait && wait.abs_diff(read) <= wait / 10_000);
        }

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
