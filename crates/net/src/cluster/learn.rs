//! What an attempt says about the instance that it went to.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::RETRY_AFTER;
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

/// What an answer asks for, in seconds. A date is not looked at: whose clock it is by is not known.
pub(super) fn retry_after(status: u16, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, 429 | 500..) {
        return None;
    }
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok().map(Duration::from_secs))?
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
