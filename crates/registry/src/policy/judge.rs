//! From single answers to what a check says.

use crate::model::check::{CheckDefinition, CheckStatus};

/// How many answers in a row it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thresholds {
    pub(crate) successes: u32,
    pub(crate) warning: u32,
    pub(crate) critical: u32,
}

/// What a check says, and how far it is on the way to saying something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judge {
    status: CheckStatus,
    good: u32,
    bad: u32,
}

impl Thresholds {
    pub(crate) fn of(check: &CheckDefinition) -> Self {
        Self {
            successes: check.success_before_passing,
            warning: check.failures_before_warning,
            critical: check.failures_before_critical,
        }
    }
}

impl Judge {
    pub(crate) fn new(status: CheckStatus) -> Self {
        Self { status, good: 0, bad: 0 }
    }

    pub(crate) fn status(self) -> CheckStatus {
        self.status
    }

    /// Takes what someone reported, at once.
    pub(crate) fn set(&mut self, status: CheckStatus) {
        *self = Self::new(status);
    }

    /// Takes one answer. A warning is an answer: it counts among the good ones, as Consul has it.
    pub(crate) fn observe(&mut self, answer: CheckStatus, thresholds: Thresholds) {
        if answer == CheckStatus::Critical {
            self.good = 0;
            self.bad = self.bad.saturating_add(1);
            if self.bad >= thresholds.critical {
                self.status = CheckStatus::Critical;
            } else if thresholds.warning > 0 && self.bad >= thresholds.warning {
                self.status = self.status.max(CheckStatus::Warning);
            }
        } else {
            self.bad = 0;
            self.good = self.good.saturating_add(1);
            if self.good >= thresholds.successes {
                self.status = answer;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use CheckStatus::{Critical, Passing, Warning};

    fn run(start: CheckStatus, thresholds: Thresholds, answers: &[CheckStatus]) -> Vec<CheckStatus> {
        let mut judge = Judge::new(start);
        let mut step = |answer: &CheckStatus| {
            judge.observe(*answer, thresholds);
            judge.status()
        };
        answers.iter().map(&mut step).collect()
    }

    #[test]
    fn without_thresholds_every_answer_counts_at_once() {
        let none = Thresholds { successes: 0, warning: 0, critical: 0 };
        let answers = [Passing, Critical, Warning, Passing];
        assert_eq!(run(Critical, none, &answers), answers);
    }

    #[test]
    fn so_many_in_a_row_and_no_fewer() {
        let some = Thresholds { successes: 2, warning: 2, critical: 3 };
        let answers = [Passing, Passing, Critical, Critical, Passing, Critical, Critical, Critical];
        let said = [Critical, Passing, Passing, Warning, Warning, Warning, Warning, Critical];
        assert_eq!(run(Critical, some, &answers), said);
    }

    fn any() -> impl Strategy<Value = CheckStatus> {
        prop::sample::select(vec![Passing, Warning, Critical])
    }

    proptest! {
        #[test]
        fn it_never_changes_its_mind_before_the_threshold_nor_long_after(
            start in any(),
            answers in prop::collection::vec(any(), 1..60),
            (successes, warning, critical) in (0..5_u32, 0..5_u32, 0..5_u32),
        ) {
            let said = run(start, Thresholds { successes, warning, critical }, &answers);
            for n in 0..answers.len() {
                let before = if n == 0 { start } else { said[n - 1] };
                let is_bad = answers[n] == Critical;
                let row = answers[..=n].iter().rev().take_while(|a| (**a == Critical) == is_bad).count() as u32;
                let expected = match is_bad {
                    false if row >= successes.max(1) => answers[n],
                    true if row >= critical.max(1) => Critical,
                    true if warning > 0 && row >= warning => before.max(Warning),
                    _ => before,
                };
                prop_assert_eq!(said[n], expected);
            }
        }
    }
}
