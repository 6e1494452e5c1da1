//! What an attempt says about the instance that it went to.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use trellis_resilience::breaker::Outcome;
use trellis_resilience::outlier::Verdict;

use super::Cluster;
use super::attempt::Attempt;
use super::members::Counts;

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    /// With an answer.
    Answer { status: u16, retry_after: Option<Duration> },
    /// Without one, which is the instance's fault.
    Failure,
    /// It says nothing about the instance.
    Nothing,
}

/// How slow an instance looks that fails: it would be the fastest otherwise.
const PENALTY: Duration = Duration::from_secs(5);

impl Cluster {
    /// Tells the breaker, the judge of outliers and the estimate of latency, once for each attempt.
    pub(super) fn learn(&self, attempt: &mut Attempt, ending: Ending) {
        let now = now();
        let outcome = match ending {
            Ending::Answer { .. } => Outcome::Success,
            Ending::Failure => Outcome::Failure,
            Ending::Nothing => Outcome::Ignored,
        };
        if !attempt.verdict(outcome, now) {
            return;
        }
        let took = now.saturating_duration_since(attempt.since);
        let member = attempt.member();
        member.counts.add(ending, took);
        if let Some(ewma) = &member.ewma {
            match ending {
                Ending::Answer { status: 429 | 502..=504, retry_after } => {
                    ewma.observe_failure(PENALTY.max(took), retry_after, now);
                }
                Ending::Answer { .. } => ewma.observe(took, now),
                Ending::Failure => ewma.observe_failure(PENALTY.max(took), None, now),
                Ending::Nothing => {}
            }
        }
        let verdict = match ending {
            Ending::Answer { status: 502..=504, .. } | Ending::Failure => Verdict::GatewayFailure,
            Ending::Answer { status: 500.., .. } => Verdict::Failure,
            Ending::Answer { .. } => Verdict::Ok,
            Ending::Nothing => return,
        };
        self.known.judge(&member.shared, verdict, now);
    }
}

impl Counts {
    fn add(&self, ending: Ending, took: Duration) {
        let count = match ending {
            Ending::Answer { status: 500.., .. } => &self.errors,
            Ending::Answer { .. } => &self.good,
            Ending::Failure => &self.failures,
            Ending::Nothing => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if matches!(ending, Ending::Answer { .. }) {
            self.micros.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        }
    }
}

/// The wait that an answer asks for (RFC 9110, section 10.2.3), in seconds or until a date. A date is by the clock of whoever
/// wrote it, so it is compared with the `Date` of the same answer; `now` is for those that do not have one.
pub(super) fn retry_after(
    status: u16,
    headers: &HeaderMap,
    now: impl FnOnce() -> SystemTime,
) -> Option<Duration> {
    if !matches!(status, 429 | 500..) {
        return None;
    }
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let sent = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    // What is over already is no wait.
    Some(until.duration_since(sent.unwrap_or_else(now)).unwrap_or_default())
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// RFC 9110, section 5.6.7, has one moment in its three forms.
    const FORMS: [&str; 3] =
        ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
    const MOMENT: Duration = Duration::from_secs(784_111_777);

    fn asked(status: u16, headers: &[(HeaderName, &'static str)], now: Duration) -> Option<Duration> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        retry_after(status, &headers.collect(), || SystemTime::UNIX_EPOCH + now)
    }

    #[test]
    fn seconds_are_what_they_say() {
        assert_eq!(asked(503, &[(RETRY_AFTER, "120")], MOMENT), Some(Duration::from_mins(2)));
        assert_eq!(asked(429, &[(RETRY_AFTER, "0")], MOMENT), Some(Duration::ZERO));
        for (status, text) in
            [(200, "120"), (404, "120"), (503, "1.5"), (503, "-1"), (503, "soon"), (503, "")]
        {
            assert_eq!(asked(status, &[(RETRY_AFTER, text)], MOMENT), None, "{status} {text}");
        }
    }

    #[test]
    fn a_date_is_by_the_clock_of_who_sent_it() {
        let before = "Sun, 06 Nov 1994 08:49:30 GMT";
        for form in FORMS {
            let date = [(RETRY_AFTER, form), (DATE, before)];
            assert_eq!(asked(503, &date, Duration::ZERO), Some(Duration::from_secs(7)), "{form}");
            let none = [(RETRY_AFTER, form)];
            assert_eq!(asked(503, &none, Duration::ZERO), Some(MOMENT));
        }
        let over = [(RETRY_AFTER, before), (DATE, FORMS[0])];
        assert_eq!(asked(503, &over, Duration::ZERO), Some(Duration::ZERO));
        // A Date that is none says nothing.
        let nonsense = [(RETRY_AFTER, FORMS[0]), (DATE, "yesterday")];
        assert_eq!(asked(503, &nonsense, MOMENT), Some(Duration::ZERO));
    }
}
