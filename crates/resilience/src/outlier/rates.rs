//! Who did worst within an interval.

use super::{Member, OutlierOptions, Reason};

/// What the members did within an interval, without those that are ejected.
pub(super) struct Rates(Vec<Rate>);

struct Rate {
    index: usize,
    requests: u32,
    /// Share of requests that went well.
    success: f64,
}

impl Rates {
    /// Takes the counts of all members.
    pub(super) fn taken<'a>(members: impl Iterator<Item = &'a Member>, at: u64) -> Self {
        let rate = |(index, member): (usize, &Member)| {
            let (requests, failures) = member.take_counts();
            let success = 1.0 - f64::from(failures) / f64::from(requests.max(1));
            (requests > 0 && !member.is_ejected_at(at)).then_some(Rate { index, requests, success })
        };
        Self(members.enumerate().filter_map(rate).collect())
    }

    /// Who should go, the worst first.
    pub(super) fn worst(mut self, options: &OutlierOptions) -> Vec<(usize, Reason)> {
        self.0.sort_by(|a, b| a.success.total_cmp(&b.success));
        let mut found = Vec::new();
        if let Some(rule) = options.failure_share {
            let judged = self.judged(rule.min_requests, rule.min_members);
            let bad = judged.filter(|rate| 1.0 - rate.success >= rule.share);
            found.extend(bad.map(|rate| (rate.index, Reason::FailureShare)));
        }
        if let Some(rule) = options.success_rate {
            let judged = || self.judged(rule.min_requests, rule.min_members);
            let floor = mean_and_deviation(judged().map(|rate| rate.success))
                .map_or(f64::NEG_INFINITY, |(mean, deviation)| mean - rule.deviations * deviation);
            found.extend(
                judged().filter(|rate| rate.success < floor).map(|rate| (rate.index, Reason::SuccessRate)),
            );
        }
        found
    }

    /// Those with enough requests, if they are enough.
    fn judged(&self, min_requests: u32, min_members: u32) -> impl Iterator<Item = &Rate> {
        let has_enough = move |rate: &&Rate| rate.requests >= min_requests;
        let are_enough = self.0.iter().filter(has_enough).count() >= min_members as usize;
        self.0.iter().filter(has_enough).filter(move |_| are_enough)
    }
}

fn mean_and_deviation(rates: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let rates: Vec<f64> = rates.collect();
    let count = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / count;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / count;
    (!rates.is_empty()).then(|| (mean, variance.sqrt()))
}
