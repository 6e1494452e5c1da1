//! Whether a larger route table makes a request dearer.

use anyhow::{Context, Result};

use super::figures::{Metric, Series};
use super::load::Paths;
use super::peers::{Proxy, Running};
use super::session::Session;
use super::side_by_side::{Beside, Turn, rounds};
use super::target::Target;
use super::{Figures, Scenario, probe, progress};

/// Processor time for a request, as a multiple of that with one route.
const MOST: f64 = 1.10;

pub(super) async fn run(session: &Session<'_>) -> Result<(Figures, Vec<Target>)> {
    let setting = session.setting(Scenario::Routes)?;
    let mut turns = Vec::new();
    for count in &session.options.routes {
        for (paths, which) in [(Paths::Random(*count), "random"), (Paths::Last(*count), "last")] {
            // Of one, they are the same.
            if *count == 1 && which == "last" {
                continue;
            }
            let name = format!("routes-{count}-{which}");
            progress(&format!("[routes] starting ours with {count} routes"));
            let running = Running::start(&setting, Proxy::Ours, &name, &prefixes(*count)).await?;
            let last = format!("/r{:05}/x", count.saturating_sub(1));
            let good = probe::plain(running.listen, &last).await;
            good.with_context(|| format!("{name}: {}", running.child.last_words()))?;
            turns.push(Turn { name, running, paths });
        }
    }
    let all = rounds(session, Scenario::Routes, turns).await?;
    let targets = targets(&all);
    Ok((Figures::Series(Beside::first_of(all)?), targets))
}

/// `/r00000` and so on, as `wrk.lua` asks for them.
pub(super) fn prefixes(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("/r{number:05}")).collect()
}

/// Each against the first.
fn targets(all: &[Series]) -> Vec<Target> {
    let Some((first, others)) = all.split_first() else { return Vec::new() };
    let key = Metric::Cpu.key();
    let target = |one: &Series| {
        let what = format!("{key}, {} to {}", one.name, first.name);
        Target::at_most(what, one.ratio(first, Metric::Cpu), MOST)
    };
    others.iter().map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::figures::tests::series;

    #[test]
    fn every_table_is_held_against_the_smallest() {
        let all = [series("one", &[10.0]), series("many", &[10.5]), series("more", &[12.0])];
        let met: Vec<bool> = targets(&all).iter().map(|target| target.met).collect();
        assert_eq!(met, [true, false]);
        assert_eq!(prefixes(2), ["/r00000", "/r00001"]);
    }
}
