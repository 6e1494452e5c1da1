//! Whether a request that failed is sent once more, and when.

use std::time::{Duration, Instant};

use crate::{Backoff, RetryBudget};

/// Which failures are worth another attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryOn {
    /// No connection could be made.
    pub connect: bool,
    /// The other side said that it did not look at the request (HTTP/2 `REFUSED_STREAM`, or beyond `GOAWAY`).
    pub refused: bool,
    /// The connection broke before the head of an answer came.
    pub reset: bool,
    /// No answer within the time for one attempt.
    pub timeout: bool,
    /// 502, 503 and 504.
    pub gateway_statuses: bool,
    /// Further statuses.
    pub statuses: Box<[u16]>,
}

/// When a request is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Most repeats of one request.
    pub max_retries: u32,
    /// What is worth it.
    pub on: RetryOn,
    /// Methods that are taken as idempotent beside those that are. Only for services that recognise a repeated request,
    /// by an `Idempotency-Key` for example.
    pub methods: Box<[Box<str>]>,
    /// How long to wait before each attempt.
    pub backoff: Backoff,
    /// Longest `Retry-After` that is waited for. Who asks for more gets no repeat: the client can wait better.
    pub max_retry_after: Duration,
    /// Time for one attempt.
    pub per_try_timeout: Option<Duration>,
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be made.
    Connect,
    /// The other side did not look at the request.
    Refused,
    /// The connection broke before the head of an answer came.
    Reset,
    /// No answer within the time for one attempt.
    Timeout,
    /// An answer with this status.
    Status(u16),
}

/// What is known when an attempt has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// How it failed.
    pub failure: Failure,
    /// Whether the method is idempotent (RFC 9110, section 9.2.2), or taken as such: [`RetryPolicy::repeats`].
    pub method_idempotent: bool,
    /// Whether the body can be sent from its beginning: it is empty, kept, or nothing of it was taken yet.
    pub body_replayable: bool,
    /// Whether anything of the request may have reached the other side. Only asked for after a reset or a timeout; an
    /// answer always shows that it did, a failed connection or a refusal that it did not count.
    pub bytes_may_have_arrived: bool,
    /// Repeats so far: 0 after the first attempt.
    pub attempt: u32,
    /// Time until nobody waits any more; `None` is for ever.
    pub remaining_deadline: Option<Duration>,
    /// What the other side asked for.
    pub retry_after: Option<Duration>,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Let it fail.
    Stop(Reason),
    /// Send it again. The budget has been charged.
    Again {
        /// How long to wait first.
        after: Duration,
    },
}

/// Why there is no other attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The policy does not repeat such a failure.
    NotRetried,
    /// There were enough attempts.
    Exhausted,
    /// It may have taken effect, and doing it twice is not the same as doing it once.
    MayHaveTakenEffect,
    /// The body is gone.
    BodyGone,
    /// The other side asked for a longer wait than is worth it.
    RetryAfterTooLong,
    /// The answer would come too late.
    NoTime,
    /// Too many requests are being repeated already.
    NoBudget,
}

impl Default for RetryOn {
    fn default() -> Self {
        Self {
            connect: true,
            refused: true,
            reset: true,
            timeout: false,
            gateway_statuses: false,
            statuses: Box::default(),
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 1,
            on: RetryOn::default(),
            methods: Box::default(),
            backoff: Backoff { initial: Duration::from_millis(25), max: Duration::from_millis(250) },
            max_retry_after: Duration::from_secs(1),
            per_try_timeout: None,
        }
    }
}

impl RetryOn {
    /// Whether such a failure is worth another attempt.
    pub fn covers(&self, failure: Failure) -> bool {
        match failure {
            Failure::Connect => self.connect,
            Failure::Refused => self.refused,
            Failure::Reset => self.reset,
            Failure::Timeout => self.timeout,
            Failure::Status(502..=504) if self.gateway_statuses => true,
            Failure::Status(status) => self.statuses.contains(&status),
        }
    }
}

impl RetryPolicy {
    /// Decides about one failed attempt. `random` is from 0 to 1. Takes from `budget` only if it says
    /// [`Again`](Decision::Again).
    pub fn decide(&self, attempt: &Attempt, budget: &RetryBudget, now: Instant, random: f64) -> Decision {
        match self.wait(attempt, random) {
            Err(reason) => Decision::Stop(reason),
            Ok(_) if !budget.withdraw(now) => Decision::Stop(Reason::NoBudget),
            Ok(after) => Decision::Again { after },
        }
    }

    /// Whether a request of this method may take effect twice. `is_idempotent` is what the standard says of it.
    pub fn repeats(&self, method: &str, is_idempotent: bool) -> bool {
        is_idempotent || self.methods.iter().any(|taken| **taken == *method)
    }

    /// How long one attempt may take when so much time is left.
    pub fn try_timeout(&self, remaining: Option<Duration>) -> Option<Duration> {
        match (self.per_try_timeout, remaining) {
            (Some(one), Some(all)) => Some(one.min(all)),
            (one, all) => one.or(all),
        }
    }

    fn wait(&self, attempt: &Attempt, random: f64) -> Result<Duration, Reason> {
        if !self.on.covers(attempt.failure) {
            return Err(Reason::NotRetried);
        }
        if attempt.attempt >= self.max_retries {
            return Err(Reason::Exhausted);
        }
        if attempt.may_have_taken_effect() && !attempt.method_idempotent {
            return Err(Reason::MayHaveTakenEffect);
        }
        if !attempt.body_replayable {
            return Err(Reason::BodyGone);
        }
        let asked = attempt.retry_after.unwrap_or_default();
        if asked > self.max_retry_after {
            return Err(Reason::RetryAfterTooLong);
        }
        let after = self.backoff.delay(attempt.attempt, random).max(asked);
        match attempt.remaining_deadline {
            Some(left) if after >= left => Err(Reason::NoTime),
            _ => Ok(after),
        }
    }
}

impl Attempt {
    /// Whether the other side may have done what was asked.
    pub fn may_have_taken_effect(&self) -> bool {
        match self.failure {
            Failure::Connect | Failure::Refused => false,
            Failure::Reset | Failure::Timeout => self.bytes_may_have_arrived,
            Failure::Status(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::RetryBudgetOptions;

    const ATTEMPT: Attempt = Attempt {
        failure: Failure::Connect,
        method_idempotent: false,
        body_replayable: true,
        bytes_may_have_arrived: false,
        attempt: 0,
        remaining_deadline: None,
        retry_after: None,
    };

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn everything() -> RetryPolicy {
        let on =
            RetryOn { timeout: true, gateway_statuses: true, statuses: [429].into(), ..RetryOn::default() };
        RetryPolicy { max_retries: 3, on, ..RetryPolicy::default() }
    }

    fn decide(policy: &RetryPolicy, attempt: Attempt) -> Decision {
        let budget = RetryBudget::new(RetryBudgetOptions::default());
        policy.decide(&attempt, &budget, Instant::now(), 1.0)
    }

    #[test]
    fn each_reason_to_stop() {
        let policy = everything();
        let idempotent = Attempt { method_idempotent: true, ..ATTEMPT };
        for (attempt, reason) in [
            (Attempt { failure: Failure::Status(500), ..idempotent }, Reason::NotRetried),
            (Attempt { attempt: 3, ..idempotent }, Reason::Exhausted),
            (Attempt { failure: Failure::Status(503), ..ATTEMPT }, Reason::MayHaveTakenEffect),
            (
                Attempt { failure: Failure::Timeout, bytes_may_have_arrived: true, ..ATTEMPT },
                Reason::MayHaveTakenEffect,
            ),
            (Attempt { body_replayable: false, ..idempotent }, Reason::BodyGone),
            (Attempt { retry_after: Some(ms(1001)), ..idempotent }, Reason::RetryAfterTooLong),
            (Attempt { remaining_deadline: Some(ms(25)), ..idempotent }, Reason::NoTime),
        ] {
            assert_eq!(decide(&policy, attempt), Decision::Stop(reason), "{attempt:?}");
        }
    }

    #[test]
    fn it_waits_the_back_off_or_what_was_asked_for() {
        let policy = everything();
        assert_eq!(decide(&policy, ATTEMPT), Decision::Again { after: ms(25) });
        assert_eq!(decide(&policy, Attempt { attempt: 2, ..ATTEMPT }), Decision::Again { after: ms(100) });
        let limited = Attempt {
            failure: Failure::Status(429),
            method_idempotent: true,
            retry_after: Some(ms(1000)),
            remaining_deadline: Some(ms(1001)),
            ..ATTEMPT
        };
        assert_eq!(decide(&policy, limited), Decision::Again { after: ms(1000) });
    }

    #[test]
    fn an_attempt_takes_no_longer_than_what_is_left() {
        let policy = RetryPolicy { per_try_timeout: Some(ms(100)), ..RetryPolicy::default() };
        assert_eq!(
            [None, Some(ms(70)), Some(ms(200))].map(|left| policy.try_timeout(left)),
            [Some(ms(100)), Some(ms(70)), Some(ms(100))]
        );
        assert_eq!(RetryPolicy::default().try_timeout(Some(ms(70))), Some(ms(70)));
    }

    fn any_attempt() -> impl Strategy<Value = Attempt> {
        let failure = prop_oneof![
            Just(Failure::Connect),
            Just(Failure::Refused),
            Just(Failure::Reset),
            Just(Failure::Timeout),
            prop::sample::select(vec![429, 500, 502, 503, 504]).prop_map(Failure::Status),
        ];
        let time = || prop::option::of((0_u64..3000).prop_map(ms));
        (failure, any::<[bool; 3]>(), 0_u32..6, time(), time()).prop_map(
            |(failure, yes, attempt, left, asked)| Attempt {
                failure,
                method_idempotent: yes[0],
                body_replayable: yes[1],
                bytes_may_have_arrived: yes[2],
                attempt,
                remaining_deadline: left,
                retry_after: asked,
            },
        )
    }

    proptest! {
        #[test]
        fn what_may_have_taken_effect_is_not_repeated(attempt in any_attempt(), random: f64) {
            let policy = everything();
            let budget = RetryBudget::new(RetryBudgetOptions::default());
            if let Decision::Again { after } = policy.decide(&attempt, &budget, Instant::now(), random) {
                let is_harmless = match attempt.failure {
                    Failure::Connect | Failure::Refused => true,
                    Failure::Reset | Failure::Timeout => !attempt.bytes_may_have_arrived,
                    Failure::Status(_) => false,
                };
                prop_assert!(is_harmless || attempt.method_idempotent);
                prop_assert!(attempt.body_replayable && attempt.attempt < 3);
                prop_assert!(attempt.remaining_deadline.is_none_or(|left| after < left));
                prop_assert!(after >= attempt.retry_after.unwrap_or_default());
            }
        }

        #[test]
        fn the_budget_bounds_all_repeats_together(attempts in prop::collection::vec(any_attempt(), 1..300), burst in 0_u32..20) {
            let options = RetryBudgetOptions { burst: f64::from(burst), ..RetryBudgetOptions::default() };
            let (budget, now) = (RetryBudget::new(options), Instant::now());
            let repeats = attempts.iter().filter(|attempt| {
                matches!(everything().decide(attempt, &budget, now, 0.5), Decision::Again { .. })
            });
            prop_assert!(repeats.count() <= burst.min(10) as usize);
        }
    }
}
