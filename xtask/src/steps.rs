//! Runs numbered steps, stops at the first that fails, and ends with a table of what took how long.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::command::say;

/// One thing to do.
pub(crate) struct Step<'a> {
    name: &'static str,
    work: Box<dyn Fn() -> Result<()> + 'a>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(name: &'static str, work: impl Fn() -> Result<()> + 'a) -> Self {
        Self { name, work: Box::new(work) }
    }
}

pub(crate) fn run(steps: &[Step<'_>]) -> Result<()> {
    let mut times = Vec::new();
    let mut outcome = Ok(());
    for (index, step) in steps.iter().enumerate() {
        let title = format!("[{}/{}] {}", index + 1, steps.len(), step.name);
        say(&format!("\n=== {title}"));
        let began = Instant::now();
        outcome = (step.work)().with_context(|| format!("step {title}"));
        times.push(began.elapsed());
        say(&format!(
            "=== {title}: {} in {}",
            if outcome.is_ok() { "done" } else { "FAILED" },
            seconds(began.elapsed())
        ));
        if outcome.is_err() {
            break;
        }
    }
    say(&summary(steps, &times, outcome.is_ok()));
    outcome
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// One line for each step: those that ran have a time, the last of them may have failed.
fn summary(steps: &[Step<'_>], times: &[Duration], all_well: bool) -> String {
    let line = |name: &str, result: &str, time: &str| format!("{name:<25} {result:<8} {time:>9}");
    let mut lines = vec![String::new(), line("step", "result", "time")];
    for (index, step) in steps.iter().enumerate() {
        lines.push(match times.get(index) {
            None => line(step.name, "not run", "-"),
            Some(time) if !all_well && index + 1 == times.len() => line(step.name, "FAILED", &seconds(*time)),
            Some(time) => line(step.name, "ok", &seconds(*time)),
        });
    }
    lines.push(line("total", "", &seconds(times.iter().sum())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use anyhow::bail;

    use super::*;

    #[test]
    fn stops_at_the_first_failure_and_names_it() {
        let ran = RefCell::new(Vec::new());
        let note = |number: i32| {
            ran.borrow_mut().push(number);
            Ok(())
        };
        let steps = [
            Step::new("one", || note(1)),
            Step::new("two", || bail!("broken")),
            Step::new("three", || note(3)),
        ];
        let error = run(&steps).unwrap_err();
        assert_eq!(format!("{error:#}"), "step [2/3] two: broken");
        assert_eq!(*ran.borrow(), [1]);
    }

    #[test]
    fn the_summary_tells_what_was_not_run() {
        let steps = [Step::new("one", || Ok(())), Step::new("two", || Ok(())), Step::new("three", || Ok(()))];
        let times = [Duration::from_secs(1), Duration::from_millis(2500)];
        let text = summary(&steps, &times, false);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(lines.contains(&vec!["one", "ok", "1.0", "s"]), "{text}");
        assert!(lines.contains(&vec!["two", "FAILED", "2.5", "s"]), "{text}");
        assert!(lines.contains(&vec!["three", "not", "run", "-"]), "{text}");
        assert!(lines.contains(&vec!["total", "3.5", "s"]), "{text}");
    }
}
