//! Policies as the application model says them.

use trellis_core::model;

use crate::breaker::Window;
use crate::limit::Adaptive;
use crate::outlier::FailureShare;
use crate::{
    Backoff, BreakerOptions, ConcurrencyOptions, OutlierOptions, Policy, RetryBudgetOptions, RetryOn,
    RetryPolicy, SlowStart,
};

impl From<model::Balance> for Policy {
    fn from(model: model::Balance) -> Self {
        match model {
            model::Balance::LeastRequest => Self::LeastRequest,
            model::Balance::RoundRobin => Self::RoundRobin,
            model::Balance::Random => Self::Random,
            model::Balance::PeakEwma => Self::PeakEwma,
            model::Balance::RingHash => Self::RingHash,
            model::Balance::Maglev => Self::Maglev,
        }
    }
}

impl From<&model::BreakerModel> for BreakerOptions {
    fn from(model: &model::BreakerModel) -> Self {
        Self {
            failures: model.failures,
            open_for: model.open_for.into(),
            probes: model.probes,
            successes: model.successes,
            window: model.window.as_ref().map(|window| Window {
                period: window.period.into(),
                min_requests: window.min_requests,
                failure_share: window.failure_share.get(),
            }),
        }
    }
}

impl From<&model::Outlier> for OutlierOptions {
    fn from(model: &model::Outlier) -> Self {
        let share = |share: trellis_core::Share| FailureShare {
            share: share.get(),
            min_requests: model.min_requests,
            // The share is absolute: it needs nobody to compare with. `max_ejected_share` keeps the last one in.
            min_members: 1,
        };
        Self {
            consecutive_failures: Some(model.consecutive_failures),
            consecutive_gateway_failures: None,
            failure_share: model.failure_share.map(share),
            success_rate: None,
            interval: model.interval.into(),
            base_ejection: model.base_ejection.into(),
            max_ejection: model.max_ejection.into(),
            max_ejected_share: model.max_ejected_share.get(),
        }
    }
}

impl From<&model::SlowStart> for SlowStart {
    fn from(model: &model::SlowStart) -> Self {
        Self { window: model.window.into(), min: model.min.get(), ..Self::default() }
    }
}

impl ConcurrencyOptions {
    /// The limit of a cluster: a fixed one, one that is found, or the smaller of both. `None` if it has neither.
    pub fn of(max: Option<u32>, adaptive: Option<&model::AdaptiveConcurrency>) -> Option<Self> {
        let most = adaptive.map(|adaptive| adaptive.max);
        let max = match (max, most) {
            (Some(fixed), Some(most)) => fixed.min(most),
            (fixed, most) => fixed.or(most)?,
        };
        let adaptive = adaptive.map(|adaptive| Adaptive { min: adaptive.min, ..Adaptive::default() });
        Some(Self { max, adaptive, ..Self::default() })
    }
}

impl From<&model::Retry> for RetryPolicy {
    fn from(model: &model::Retry) -> Self {
        let on = |what| model.on.contains(&what);
        Self {
            max_retries: model.max,
            on: RetryOn {
                connect: on(model::RetryOn::Connect),
                refused: on(model::RetryOn::Refused),
                reset: on(model::RetryOn::Reset),
                timeout: on(model::RetryOn::Timeout),
                gateway_statuses: on(model::RetryOn::Gateway),
                statuses: model.statuses.as_slice().into(),
            },
            methods: model.methods.iter().map(|method| method.as_str().into()).collect(),
            backoff: Backoff { initial: model.backoff.into(), max: model.max_backoff.into() },
            max_retry_after: model.max_retry_after.into(),
            per_try_timeout: model.per_try_timeout.map(Into::into),
        }
    }
}

impl From<&model::Retry> for RetryBudgetOptions {
    fn from(model: &model::Retry) -> Self {
        let min_per_second = f64::from(model.min_per_second);
        // What a second earns has to fit in.
        let burst = Self::default().burst.max(min_per_second);
        Self { ratio: model.budget.get(), min_per_second, burst }
    }
}

#[cfg(test)]
mod tests {
    use trellis_core::HumanDuration;

    use super::*;

    #[test]
    fn the_smaller_limit_holds() {
        let adaptive = model::AdaptiveConcurrency { min: 2, max: 50 };
        let of = |max, adaptive| ConcurrencyOptions::of(max, adaptive).map(|o| (o.max, o.adaptive.is_some()));
        assert_eq!(of(None, None), None);
        assert_eq!(of(Some(7), None), Some((7, false)));
        assert_eq!(of(None, Some(&adaptive)), Some((50, true)));
        assert_eq!(of(Some(70), Some(&adaptive)), Some((50, true)));
        assert_eq!(of(Some(7), Some(&adaptive)), Some((7, true)));
    }

    #[test]
    fn a_retry_keeps_what_it_says() {
        let model = model::Retry {
            on: vec![model::RetryOn::Reset, model::RetryOn::Gateway],
            methods: vec!["POST".into()],
            min_per_second: 1000,
            max_retry_after: HumanDuration::from_secs(7),
            ..model::Retry::default()
        };
        let policy = RetryPolicy::from(&model);
        assert_eq!(policy.max_retry_after.as_secs(), 7);
        assert_eq!((policy.on.connect, policy.on.reset, policy.on.gateway_statuses), (false, true, true));
        assert!(
            policy.repeats("POST", false) && policy.repeats("GET", true) && !policy.repeats("PATCH", false)
        );
        assert!(RetryBudgetOptions::from(&model).burst >= 1000.0);
    }
}
