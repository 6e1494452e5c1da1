//! When the leases of a service end in such numbers that the fault is more likely between it and the platform.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::options::ProtectionOptions;

/// The leases of one service that ended of late.
#[derive(Debug, Default)]
pub(crate) struct Protection {
    /// At most as many as the service has leased instances.
    ended: VecDeque<Instant>,
    until: Option<Instant>,
}

/// What is to become of an instance whose lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is DOWN.
    Expire,
    /// Nothing, until then: too many ended with it.
    Hold(Instant),
    /// The same, and those that ended before it within the window are held as well.
    HoldAll(Instant),
}

impl Protection {
    /// A lease ended. `leased` is how many instances of the service have a lease, this one among them.
    pub(crate) fn ended(&mut self, now: Instant, leased: usize, options: &ProtectionOptions) -> Verdict {
        if options.percent == 0 {
            return Verdict::Expire;
        }
        if let Some(until) = self.until {
            if now < until {
                return Verdict::Hold(until);
            }
            self.until = None;
            self.ended.clear();
        }
        let start = now.checked_sub(options.window);
        while self.ended.front().is_some_and(|first| start.is_some_and(|start| *first < start)) {
            self.ended.pop_front();
        }
        self.ended.push_back(now);
        while self.ended.len() > leased.max(1) {
            self.ended.pop_front();
        }
        let ended = self.ended.len();
        let is_mass = ended >= options.min_instances.max(1)
            && ended.saturating_mul(100) > leased.saturating_mul(options.percent as usize);
        match self.ended.front() {
            Some(first) if is_mass => {
                let until = *first + options.hold;
                self.until = Some(until);
                Verdict::HoldAll(until)
            }
            _ => Verdict::Expire,
        }
    }

    /// One whose lease had ended came back.
    pub(crate) fn came_back(&mut self) {
        self.ended.pop_back();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const OPTIONS: ProtectionOptions = ProtectionOptions {
        percent: 50,
        min_instances: 3,
        window: Duration::from_secs(30),
        hold: Duration::from_mins(2),
    };

    #[test]
    fn a_few_expire_and_a_mass_is_held_until_the_deadline() {
        let start = Instant::now();
        let mut policy = Protection::default();
        for _ in 0..5 {
            assert_eq!(policy.ended(start, 10, &OPTIONS), Verdict::Expire);
        }
        let until = start + OPTIONS.hold;
        assert_eq!(policy.ended(start, 10, &OPTIONS), Verdict::HoldAll(until));
        let later = start + OPTIONS.hold / 2;
        assert_eq!(policy.ended(later, 10, &OPTIONS), Verdict::Hold(until));
        assert_eq!(policy.ended(until, 10, &OPTIONS), Verdict::Expire, "and counting begins anew");
    }

    #[test]
    fn few_instances_and_slow_ends_are_believed() {
        let start = Instant::now();
        let mut policy = Protection::default();
        assert_eq!(policy.ended(start, 2, &OPTIONS), Verdict::Expire);
        assert_eq!(policy.ended(start, 2, &OPTIONS), Verdict::Expire);
        let mut policy = Protection::default();
        for n in 0..20 {
            let now = start + OPTIONS.window * n * 2;
            assert_eq!(policy.ended(now, 4, &OPTIONS), Verdict::Expire);
        }
        let off = ProtectionOptions { percent: 0, ..OPTIONS };
        assert!((0..9).all(|_| policy.ended(start, 9, &off) == Verdict::Expire));
    }

    proptest! {
        #[test]
        fn nobody_is_held_for_longer_than_the_deadline_nor_without_a_mass(
            gaps in prop::collection::vec(0..40_u64, 1..80),
            leased in 1..20_usize,
        ) {
            let mut policy = Protection::default();
            let mut now = Instant::now();
            let mut seen: Vec<Instant> = Vec::new();
            for gap in gaps {
                now += Duration::from_secs(gap);
                seen.push(now);
                match policy.ended(now, leased, &OPTIONS) {
                    Verdict::Expire => {}
                    Verdict::Hold(until) => prop_assert!(until > now && until <= now + OPTIONS.hold),
                    Verdict::HoldAll(until) => {
                        prop_assert!(until > now && until <= now + OPTIONS.hold);
                        let of_late = seen.iter().filter(|at| **at + OPTIONS.window >= now).count();
                        prop_assert!(of_late >= OPTIONS.min_instances && of_late * 100 > leased * 50);
                    }
                }
                prop_assert!(policy.ended.len() <= leased);
            }
        }
    }
}
