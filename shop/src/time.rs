//! Points in time as the tables keep them: milliseconds since 1970.

use std::time::Duration;

/// The point `wait` after `now_ms`.
pub(crate) fn after(now_ms: i64, wait: Duration) -> i64 {
    now_ms.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

/// The point `age` before `now_ms`.
pub(crate) fn before(now_ms: i64, age: Duration) -> i64 {
    now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stay_in_range() {
        let second = Duration::from_secs(1);
        assert_eq!((after(5000, second), before(5000, second)), (6000, 4000));
        assert_eq!(after(i64::MAX, Duration::MAX), i64::MAX);
        assert_eq!(before(i64::MIN, Duration::MAX), i64::MIN);
    }
}
