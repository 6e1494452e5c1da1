use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy {
        start_timeout: 30 * SECOND,
        health_interval: 5 * SECOND,
        grace: 10 * SECOND,
        backoff: Backoff { initial: Duration::from_millis(100), max: 30 * SECOND },
        reset_after: 10 * SECOND,
    }
}

/// A lifecycle with its clock, and a process that does as it is told.
struct World {
    lifecycle: Lifecycle,
    now: Instant,
    alive: bool,
    terminated: Option<Instant>,
    misses: u32,
    stopping: bool,
}

impl World {
    fn new() -> Self {
        Self {
            lifecycle: Lifecycle::new(policy()),
            now: Instant::now(),
            alive: false,
            terminated: None,
            misses: 0,
            stopping: false,
        }
    }

    fn ready() -> Self {
        let mut world = Self::new();
        world.on(Event::NeedsReady);
        world.on(Event::Healthy);
        world
    }

    /// Every promise about actions and states is asserted here, whatever leads to them.
    fn on(&mut self, event: Event) -> Option<Action> {
        let before = self.lifecycle.state();
        match event {
            Event::Healthy => self.misses = 0,
            Event::Unhealthy => self.misses += 1,
            Event::Exited { .. } => self.alive = false,
            Event::Stop => self.stopping = true,
            Event::NeedsReady | Event::Timer => {}
        }
        let action = self.lifecycle.on(event, self.now);
        let after = self.lifecycle.state();
        match action {
            Some(Action::Start) => {
                assert!(!self.alive, "one process at a time");
                assert!(!self.stopping, "nothing starts once it must stop");
                (self.alive, self.terminated, self.misses) = (true, None, 0);
            }
            Some(Action::Terminate) => {
                assert!(self.alive && self.terminated.is_none(), "SIGTERM comes once");
                self.terminated = Some(self.now);
            }
            Some(Action::Kill) => {
                let asked = self.terminated.expect("SIGTERM comes before SIGKILL");
                assert!(self.alive && self.now >= asked + policy().grace, "SIGKILL comes after the grace");
            }
            Some(Action::Abandon) => {
                let asked = self.terminated.expect("SIGTERM comes before that");
                assert!(self.stopping && self.now >= asked + policy().grace + KILL_WAIT);
                self.alive = false;
            }
            None => {}
        }
        if after == ProcessState::Ready && before != ProcessState::Ready {
            assert_eq!(event, Event::Healthy, "only an answer makes it ready");
        }
        if after == ProcessState::Unready && before == ProcessState::Ready {
            assert_eq!(self.misses, MISSES, "only failed checks in a row make it unready");
        }
        let running = !matches!(after, ProcessState::Waiting | ProcessState::Backoff | ProcessState::Stopped);
        assert_eq!(running, self.alive, "{after:?}");
        action
    }

    fn advance(&mut self, by: Duration) -> Option<Action> {
        self.now += by;
        self.on(Event::Timer)
    }

    /// Ends it, and says how long the wait is.
    fn crash(&mut self) -> Duration {
        self.on(Event::Exited { random: 1.0 });
        assert_eq!(self.lifecycle.state(), ProcessState::Backoff);
        self.lifecycle.wake_at().expect("a time to start it again") - self.now
    }

    fn start_again(&mut self) {
        self.now = self.lifecycle.wake_at().expect("a time to start it again");
        assert_eq!(self.on(Event::Timer), Some(Action::Start));
    }
}

#[test]
fn checks_slow_down_while_it_starts_and_keep_to_the_interval_after() {
    let mut world = World::new();
    world.on(Event::NeedsReady);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let at = world.lifecycle.check_at().unwrap();
        pauses.push(at - world.now);
        world.now = at;
        world.on(Event::Unhealthy);
    }
    assert_eq!(pauses.first(), Some(&FIRST_PAUSE));
    assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
    assert!(pauses.is_sorted());
    world.on(Event::Healthy);
    assert_eq!(world.lifecycle.check_at(), Some(world.now + policy().health_interval));
}

#[test]
fn what_is_not_ready_in_time_is_stopped_and_started_again() {
    let mut world = World::new();
    world.on(Event::NeedsReady);
    assert_eq!(world.advance(29 * SECOND), None);
    assert_eq!(world.advance(SECOND), Some(Action::Terminate));
    assert_eq!(world.advance(10 * SECOND), Some(Action::Kill));
    assert_eq!(world.advance(KILL_WAIT), Some(Action::Kill), "it cannot be started again before it is gone");
    world.crash();
    world.start_again();
    assert_eq!(world.lifecycle.restarts(), 1);
}

#[test]
fn three_misses_in_a_row_make_it_unready_and_one_answer_ready() {
    let mut world = World::ready();
    for event in [Event::Unhealthy, Event::Unhealthy, Event::Healthy, Event::Unhealthy, Event::Unhealthy] {
        world.on(event);
        assert_eq!(world.lifecycle.state(), ProcessState::Ready);
    }
    world.on(Event::Unhealthy);
    assert_eq!(world.lifecycle.state(), ProcessState::Unready);
    world.on(Event::Healthy);
    assert_eq!(world.lifecycle.state(), ProcessState::Ready);
}

#[test]
fn the_wait_doubles_and_starts_over_after_it_was_ready_for_long_enough() {
    let millis = |world: &mut World| world.crash().as_millis();
    let mut world = World::ready();
    assert_eq!(millis(&mut world), 100);
    world.start_again();
    assert_eq!(millis(&mut world), 200);
    world.start_again();
    world.on(Event::Healthy);
    world.advance(9 * SECOND);
    assert_eq!(millis(&mut world), 400, "not ready for long enough");
    world.start_again();
    world.on(Event::Healthy);
    world.advance(10 * SECOND);
    assert_eq!(millis(&mut world), 100);
    world.start_again();
    world.on(Event::Healthy);
    world.advance(10 * SECOND);
    for _ in 0..MISSES {
        world.on(Event::Unhealthy);
    }
    assert_eq!(millis(&mut world), 100, "it was ready for long enough before it hung");
}

#[test]
fn a_process_that_survives_sigkill_does_not_hold_up_the_stop() {
    let mut world = World::ready();
    assert_eq!(world.on(Event::Stop), Some(Action::Terminate));
    assert_eq!(world.advance(10 * SECOND), Some(Action::Kill));
    assert_eq!(world.advance(KILL_WAIT), Some(Action::Abandon));
    assert_eq!(world.lifecycle.state(), ProcessState::Stopped);
}

#[test]
fn waits_of_any_length_are_taken() {
    let longest = Policy {
        start_timeout: Duration::MAX,
        health_interval: Duration::MAX,
        grace: Duration::MAX,
        backoff: Backoff { initial: Duration::MAX, max: Duration::MAX },
        reset_after: Duration::MAX,
    };
    let now = Instant::now();
    let mut lifecycle = Lifecycle::new(longest);
    for event in [Event::NeedsReady, Event::Healthy, Event::Exited { random: 1.0 }] {
        lifecycle.on(event, now);
    }
    assert!(lifecycle.wake_at() > Some(now));
}

#[derive(Debug, Clone)]
enum Step {
    Happens(Event),
    /// It ends, if it runs.
    Ends(f64),
    Passes(Duration),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Happens(Event::NeedsReady)),
        4 => Just(Step::Happens(Event::Healthy)),
        6 => Just(Step::Happens(Event::Unhealthy)),
        4 => (0.0..=1.0).prop_map(Step::Ends),
        8 => (0_u64..20_000).prop_map(|ms| Step::Passes(Duration::from_millis(ms))),
        1 => Just(Step::Happens(Event::Stop)),
    ]
}

proptest! {
    #[test]
    fn every_history_keeps_the_promises(steps in prop::collection::vec(step(), 0..200)) {
        let mut world = World::new();
        let mut ends_in_a_row = 0;
        for step in steps {
            match step {
                Step::Happens(event) => {
                    world.on(event);
                }
                Step::Passes(by) => {
                    world.advance(by);
                }
                Step::Ends(_) if !world.alive => {}
                Step::Ends(random) => {
                    world.on(Event::Exited { random });
                    if world.lifecycle.state() == ProcessState::Backoff {
                        let wait = world.lifecycle.wake_at().expect("a time to start it again") - world.now;
                        // After n ends in a row the wait is one of the first n, for any of them may have started it over.
                        let most = policy().backoff.delay(ends_in_a_row, 1.0);
                        prop_assert!(wait >= policy().backoff.initial / 2 && wait <= most, "{wait:?} of {most:?}");
                        ends_in_a_row += 1;
                    }
                }
            }
        }
        // Whatever came before, it can be stopped, and stays so.
        world.on(Event::Stop);
        for _ in 0..3 {
            if let Some(at) = world.lifecycle.wake_at() {
                world.now = at;
                world.on(Event::Timer);
            }
        }
        prop_assert_eq!(world.lifecycle.state(), ProcessState::Stopped);
        for event in [Event::NeedsReady, Event::Healthy, Event::Exited { random: 0.5 }, Event::Timer, Event::Stop] {
            prop_assert_eq!(world.on(event), None);
        }
    }
}
