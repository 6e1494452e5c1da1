use proptest::prelude::*;

use super::*;

const OPEN_FOR: Duration = Duration::from_secs(5);
const OPTIONS: BreakerOptions =
    BreakerOptions { failures: 3, open_for: OPEN_FOR, probes: 2, successes: 2, window: None };

fn send(breaker: &Breaker, outcome: Outcome, now: Instant) {
    let admission = breaker.admit(now).unwrap();
    breaker.record(admission, outcome, now);
}

fn opened(now: Instant) -> Breaker {
    let breaker = Breaker::new(OPTIONS);
    (0..3).for_each(|_| send(&breaker, Outcome::Failure, now));
    breaker
}

#[test]
fn failures_in_a_row_open_it() {
    let now = Instant::now();
    let breaker = opened(now);
    assert_eq!(breaker.state(now), State::Open);
    let Open { retry_after } = breaker.admit(now + Duration::from_secs(2)).unwrap_err();
    assert_eq!(retry_after, Duration::from_secs(3));
}

#[test]
fn a_success_starts_the_count_over_and_an_ignored_one_does_not() {
    let now = Instant::now();
    let breaker = Breaker::new(OPTIONS);
    for outcome in [Outcome::Failure, Outcome::Failure, Outcome::Success, Outcome::Failure, Outcome::Failure]
    {
        send(&breaker, outcome, now);
    }
    assert_eq!(breaker.state(now), State::Closed);
    send(&breaker, Outcome::Ignored, now);
    send(&breaker, Outcome::Failure, now);
    assert_eq!(breaker.state(now), State::Open);
}

#[test]
fn half_open_admits_few_probes_and_closes_after_enough_successes() {
    let start = Instant::now();
    let breaker = opened(start);
    let now = start + OPEN_FOR;
    assert_eq!(breaker.state(now), State::HalfOpen);
    let (one, two) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
    assert_eq!(breaker.admit(now).unwrap_err().retry_after, PROBE_WAIT);

    breaker.record(one, Outcome::Success, now);
    assert_eq!(breaker.state(now), State::HalfOpen);
    breaker.record(two, Outcome::Success, now);
    assert_eq!(breaker.state(now), State::Closed);
}

#[test]
fn a_failed_probe_opens_it_for_the_whole_time() {
    let start = Instant::now();
    let breaker = opened(start);
    let now = start + OPEN_FOR;
    send(&breaker, Outcome::Success, now);
    send(&breaker, Outcome::Failure, now);
    assert_eq!(breaker.admit(now).unwrap_err().retry_after, OPEN_FOR);
    // The success before the failure does not count for the next half-open period.
    let later = now + OPEN_FOR;
    send(&breaker, Outcome::Success, later);
    assert_eq!(breaker.state(later), State::HalfOpen);
}

#[test]
fn a_dropped_probe_frees_its_slot() {
    let start = Instant::now();
    let breaker = opened(start);
    let now = start + OPEN_FOR;
    for _ in 0..10 {
        let one = breaker.admit(now).unwrap();
        let two = breaker.admit(now).unwrap();
        assert!(breaker.admit(now).is_err());
        drop(one);
        breaker.record(two, Outcome::Ignored, now);
    }
    assert_eq!(breaker.state(now), State::HalfOpen);
}

#[test]
fn outcomes_from_an_earlier_period_say_nothing() {
    let start = Instant::now();
    let breaker = Breaker::new(OPTIONS);
    let mut slow: Vec<_> = (0..6).map(|_| breaker.admit(start).unwrap()).collect();
    (0..3).for_each(|_| send(&breaker, Outcome::Failure, start));

    // Requests sent before it opened: neither close it, nor prolong it, nor count as probes.
    breaker.record(slow.pop().unwrap(), Outcome::Success, start);
    breaker.record(slow.pop().unwrap(), Outcome::Failure, start + OPEN_FOR);
    assert_eq!(breaker.state(start + OPEN_FOR), State::HalfOpen);

    let now = start + OPEN_FOR;
    let stale_probe = breaker.admit(now).unwrap();
    send(&breaker, Outcome::Failure, now);
    let later = now + OPEN_FOR;
    let (one, two) = (breaker.admit(later).unwrap(), breaker.admit(later).unwrap());
    breaker.record(stale_probe, Outcome::Failure, later);
    assert_eq!(breaker.state(later), State::HalfOpen);
    assert!(breaker.admit(later).is_err(), "the stale probe frees no slot of this period");
    drop((one, two));

    // And once it has closed again, old failures do not open it.
    (0..2).for_each(|_| send(&breaker, Outcome::Success, later));
    for admission in slow {
        breaker.record(admission, Outcome::Failure, later);
    }
    assert_eq!(breaker.state(later), State::Closed);
}

#[test]
fn zero_counts_are_taken_as_one() {
    let now = Instant::now();
    let breaker = Breaker::new(BreakerOptions {
        failures: 0,
        open_for: Duration::ZERO,
        probes: 0,
        successes: 0,
        window: None,
    });
    send(&breaker, Outcome::Failure, now);
    assert_eq!(breaker.state(now), State::HalfOpen);
    send(&breaker, Outcome::Success, now);
    assert_eq!(breaker.state(now), State::Closed);
}

#[test]
fn threads_never_lose_a_slot_or_exceed_the_bound() {
    let start = Instant::now();
    let breaker = opened(start);
    let now = start + OPEN_FOR;
    let probes = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let Ok(admission) = breaker.admit(now) else {
                        continue;
                    };
                    assert!(probes.fetch_add(1, Ordering::SeqCst) < 2, "more probes at once than allowed");
                    probes.fetch_sub(1, Ordering::SeqCst);
                    drop(admission);
                }
            });
        }
    });
    assert!(breaker.admit(now).is_ok() && breaker.state(now) == State::HalfOpen);
}

#[test]
fn a_share_of_failures_opens_it_and_is_forgotten_when_it_closes() {
    let start = Instant::now();
    let window = Some(Window { period: Duration::from_secs(10), min_requests: 10, failure_share: 0.5 });
    let breaker = Breaker::new(BreakerOptions { failures: u32::MAX, window, ..OPTIONS });
    let send_pairs = |count, now| {
        for _ in 0..count {
            send(&breaker, Outcome::Success, now);
            send(&breaker, Outcome::Failure, now);
        }
    };
    send_pairs(4, start);
    // Those are too old to count when the next ones come.
    let now = start + Duration::from_secs(15);
    send_pairs(4, now);
    assert_eq!(breaker.state(now), State::Closed);
    send_pairs(1, now);
    assert_eq!(breaker.state(now), State::Open);

    let later = now + OPEN_FOR;
    (0..2).for_each(|_| send(&breaker, Outcome::Success, later));
    send_pairs(4, later);
    assert_eq!(breaker.state(later), State::Closed);
    send_pairs(1, later);
    assert_eq!(breaker.state(later), State::Open);
}

/// The rules of the module's first paragraph, written down once more without atomics.
struct Model {
    state: State,
    failures: u32,
    until: Instant,
    probes: u32,
    successes: u32,
    period: u32,
}

impl Model {
    fn admit(&mut self, now: Instant) -> Option<(u32, bool)> {
        match self.state {
            State::Closed => return Some((self.period, false)),
            State::Open if now < self.until => return None,
            _ => self.state = State::HalfOpen,
        }
        (self.probes < OPTIONS.probes).then(|| {
            self.probes += 1;
            (self.period, true)
        })
    }

    fn record(&mut self, (period, probe): (u32, bool), outcome: Outcome, now: Instant) {
        if period != self.period {
            return;
        }
        self.probes -= u32::from(probe);
        match outcome {
            Outcome::Ignored => return,
            Outcome::Success if probe => self.successes += 1,
            Outcome::Success => self.failures = 0,
            Outcome::Failure => self.failures += 1,
        }
        if outcome == Outcome::Failure && (probe || self.failures == OPTIONS.failures) {
            self.enter(State::Open);
            self.until = now + OPEN_FOR;
        } else if self.successes == OPTIONS.successes {
            self.enter(State::Closed);
        }
    }

    fn enter(&mut self, state: State) {
        *self = Self { state, failures: 0, probes: 0, successes: 0, period: self.period + 1, ..*self };
    }
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(steps in prop::collection::vec((0_u8..4, 0_usize..8, 0_u64..3000), 1..300)) {
        let mut now = Instant::now();
        let breaker = Breaker::new(OPTIONS);
        let mut model = Model { state: State::Closed, failures: 0, until: now, probes: 0, successes: 0, period: 0 };
        let mut under_way = Vec::new();
        for (step, which, millis) in steps {
            now += Duration::from_millis(millis);
            let outcome = match step {
                0 => {
                    let (real, expected) = (breaker.admit(now), model.admit(now));
                    prop_assert_eq!(real.is_ok(), expected.is_some());
                    under_way.extend(real.ok().zip(expected));
                    continue;
                }
                1 => Outcome::Success,
                2 => Outcome::Failure,
                _ => Outcome::Ignored,
            };
            if which < under_way.len() {
                let (admission, expected) = under_way.swap_remove(which);
                breaker.record(admission, outcome, now);
                model.record(expected, outcome, now);
            }
            let expected = match model.state {
                State::Open if now >= model.until => State::HalfOpen,
                state => state,
            };
            prop_assert_eq!(breaker.state(now), expected);
        }
    }
}

#[test]
fn what_is_found_to_work_is_probed_at_once() {
    let now = Instant::now();
    let breaker = Breaker::new(BreakerOptions { failures: 1, successes: 1, ..BreakerOptions::default() });
    breaker.reconsider();
    assert_eq!(breaker.state(now), State::Closed);
    breaker.record(breaker.admit(now).unwrap(), Outcome::Failure, now);
    assert_eq!(breaker.state(now), State::Open);
    breaker.reconsider();
    assert_eq!(breaker.state(now), State::HalfOpen);
    let probe = breaker.admit(now).unwrap();
    assert!(breaker.admit(now).is_err(), "one probe at a time, as ever");
    breaker.record(probe, Outcome::Failure, now);
    assert_eq!(breaker.state(now), State::Open, "a probe that fails opens it anew");
    breaker.reconsider();
    breaker.record(breaker.admit(now).unwrap(), Outcome::Success, now);
    assert_eq!(breaker.state(now), State::Closed);
}
