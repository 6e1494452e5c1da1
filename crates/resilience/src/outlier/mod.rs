//! Leaving out members that do worse than the others, for a while.
//!
//! After Envoy's outlier detection: a member goes for failing several times in a row, or for failing more than it may or
//! more than the others within an interval. It comes back by itself when its time is over; the time grows with every
//! ejection and shrinks with every interval that it is not ejected.

mod member;
mod rates;
#[cfg(test)]
mod tests;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::epoch::nanos;
use crate::lock;
pub use member::{Member, Verdict};
use rates::Rates;

/// No ejection and no interval is longer.
const FAR: Duration = Duration::from_hours(365 * 24);

/// When a member is ejected and for how long. Shares are from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutlierOptions {
    /// Failures in a row, of whatever kind.
    pub consecutive_failures: Option<u32>,
    /// Gateway failures in a row.
    pub consecutive_gateway_failures: Option<u32>,
    /// Failing more than it may within an interval.
    pub failure_share: Option<FailureShare>,
    /// Succeeding less than the others within an interval.
    pub success_rate: Option<SuccessRate>,
    /// How often shares and rates are looked at.
    pub interval: Duration,
    /// The first ejection takes this long, the second twice as long, and so on.
    pub base_ejection: Duration,
    /// Longest ejection; at least `base_ejection`.
    pub max_ejection: Duration,
    /// Share of the members that may be ejected at once, rounded down, but one at least and never all of them. With 0
    /// nobody is ever ejected.
    pub max_ejected_share: f64,
}

/// An absolute measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FailureShare {
    /// Share of failed requests at which a member is ejected.
    pub share: f64,
    /// Requests within the interval below which a member is not judged.
    pub min_requests: u32,
    /// Members with that many requests below which nobody is judged.
    pub min_members: u32,
}

/// A measure by the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuccessRate {
    /// A member is ejected when its rate is this many standard deviations below the mean of all.
    pub deviations: f64,
    /// Requests within the interval below which a member is not judged.
    pub min_requests: u32,
    /// Members with that many requests below which nobody is judged.
    pub min_members: u32,
}

/// Why a member was ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// Too many gateway failures in a row.
    ConsecutiveGatewayFailures,
    /// Too large a share of failures.
    FailureShare,
    /// Too far below the others.
    SuccessRate,
}

/// What became of the member at `index` of those that were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It takes no traffic for a while.
    Ejected {
        /// Which one.
        index: usize,
        /// Why.
        reason: Reason,
        /// For how long.
        period: Duration,
    },
    /// Its time was over.
    Returned {
        /// Which one.
        index: usize,
    },
}

/// Judges the members of one cluster. Requests touch only their [`Member`].
#[derive(Debug)]
pub struct Outliers {
    options: OutlierOptions,
    start: Instant,
    /// When shares and rates are looked at next, in nanoseconds since `start`.
    due: AtomicU64,
    /// One judge at a time: two would eject one too many.
    judging: Mutex<()>,
}

impl Default for OutlierOptions {
    fn default() -> Self {
        Self {
            consecutive_failures: Some(5),
            consecutive_gateway_failures: None,
            failure_share: Some(FailureShare::default()),
            success_rate: None,
            interval: Duration::from_secs(10),
            base_ejection: Duration::from_secs(30),
            max_ejection: Duration::from_mins(5),
            max_ejected_share: 0.1,
        }
    }
}

impl Default for FailureShare {
    fn default() -> Self {
        Self { share: 0.85, min_requests: 50, min_members: 5 }
    }
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self { deviations: 1.9, min_requests: 100, min_members: 5 }
    }
}

impl Outliers {
    /// A judge whose first interval begins `now`.
    pub fn new(options: OutlierOptions, now: Instant) -> Self {
        let base_ejection = options.base_ejection.clamp(Duration::from_millis(1), FAR);
        let options = OutlierOptions {
            interval: options.interval.clamp(Duration::from_millis(1), FAR),
            base_ejection,
            max_ejection: options.max_ejection.clamp(base_ejection, FAR.max(base_ejection)),
            ..options
        };
        let due = AtomicU64::new(nanos(options.interval));
        Self { options, start: now, due, judging: Mutex::default() }
    }

    /// A member that nothing is known of.
    pub fn member(&self) -> Member {
        Member::new(&self.options, self.start)
    }

    /// Whether an interval has passed since the last one was judged. One atomic load.
    pub fn is_due(&self, now: Instant) -> bool {
        self.at(now) >= self.due.load(Ordering::Relaxed)
    }

    /// Ejects those that have to go, as far as the limit allows, the worst first. To be called when
    /// [`Member::record`] or [`is_due`](Self::is_due) says so, with all members of the cluster.
    pub fn evaluate<'a, I>(&self, members: I, now: Instant) -> Vec<Change>
    where
        I: IntoIterator<Item = &'a Member>,
        I::IntoIter: Clone,
    {
        let judging = lock(&self.judging);
        let at = self.at(now);
        let members = members.into_iter();
        let mut round = Round { options: &self.options, at, room: 0, changes: Vec::new() };
        let (mut total, mut ejected) = (0, 0);
        for (index, member) in members.clone().enumerate() {
            if member.settle(at) {
                round.changes.push(Change::Returned { index });
            }
            total += 1;
            ejected += usize::from(member.is_ejected_at(at));
        }
        round.room = self.most_ejected(total).saturating_sub(ejected);

        for (index, member) in members.clone().enumerate() {
            if let Some(reason) = member.take_run() {
                round.eject(index, member, reason);
            }
        }
        let interval = nanos(self.options.interval);
        if at >= self.due.load(Ordering::Relaxed) {
            self.due.store(at.saturating_add(interval), Ordering::Relaxed);
            members.clone().for_each(|member| member.forgive(at, interval));
            for (index, reason) in Rates::taken(members.clone(), at).worst(&self.options) {
                if let Some(member) = members.clone().nth(index) {
                    round.eject(index, member, reason);
                }
            }
        }
        drop(judging);
        round.changes
    }

    /// How many of `total` members may be ejected at once.
    pub fn most_ejected(&self, total: usize) -> usize {
        if total < 2 || self.options.max_ejected_share.is_nan() || self.options.max_ejected_share <= 0.0 {
            return 0;
        }
        ((total as f64 * self.options.max_ejected_share) as usize).clamp(1, total - 1)
    }

    fn at(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.start))
    }
}

/// One evaluation.
struct Round<'a> {
    options: &'a OutlierOptions,
    at: u64,
    /// How many may still go.
    room: usize,
    changes: Vec<Change>,
}

impl Round<'_> {
    fn eject(&mut self, index: usize, member: &Member, reason: Reason) {
        if self.room == 0 || member.is_ejected_at(self.at) {
            return;
        }
        self.room -= 1;
        let period = member.eject(self.at, self.options.base_ejection, self.options.max_ejection);
        self.changes.push(Change::Ejected { index, reason, period });
    }
}
