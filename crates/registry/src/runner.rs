//! Asks the active checks when they are due, so many at once and no more. There is no task for a check that waits.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};
use trellis_runtime::Shutdown;

use crate::model::check::{CheckAnswer, CheckStatus};
use crate::prober::Prober;
use crate::shared::Shared;
use crate::state::{Probe, State};

/// Runs until the shutdown; what is being asked then is given up.
pub(crate) async fn run(shared: &Shared, prober: &Arc<dyn Prober>, shutdown: &Shutdown) {
    let mut asked: JoinSet<(Probe, CheckAnswer)> = JoinSet::new();
    let work = async {
        loop {
            let room = shared.options.max_parallel_checks.max(1).saturating_sub(asked.len());
            for probe in shared.make(|state| state.due_probes(shared.now(), room)) {
                if !probe.late.is_zero() && probe.late >= shared.options.min_check_interval {
                    shared.counters.check_delays.add(1);
                }
                shared.counters.check_runs.add(1);
                asked.spawn(ask(prober.clone(), probe));
            }
            let is_full = asked.len() >= shared.options.max_parallel_checks.max(1);
            let next = shared.read(State::next_probe);
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(done) = asked.join_next() => {
                    // One that panicked is not asked again before its instance is registered anew; the log has why.
                    if let Ok((probe, answer)) = done {
                        let step = shared.step(|state, now| {
                            Ok(((), state.answer(probe.slot, probe.generation, &answer, now)))
                        });
                        debug_assert!(step.is_ok(), "nothing in it fails");
                    }
                }
                () = due, if !is_full => {}
                () = shared.probe_earlier.notified(), if !is_full => {}
            }
        }
    };
    tokio::select! {
        () = shutdown.triggered() => {}
        () = work => {}
    }
}

async fn ask(prober: Arc<dyn Prober>, probe: Probe) -> (Probe, CheckAnswer) {
    let limit = probe.definition.timeout;
    let answer = timeout(limit, prober.ask(&probe.definition)).await.unwrap_or_else(|_| CheckAnswer {
        status: CheckStatus::Critical,
        output: format!("no answer within {}", trellis_core::HumanDuration(limit)),
    });
    (probe, answer)
}
