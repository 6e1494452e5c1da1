//! Threads that each run their own share of the same work.

use std::future::Future;
use std::thread;

use tokio::sync::mpsc;
use trellis_core::error::Result;
use trellis_core::{Error, codes};

/// Runs each of `works` on a thread of its own, with a runtime of its own whose tasks never leave it, and waits until all
/// have ended. The error is the first one; `failed` is called with it, so that the others can be told to stop.
///
/// Work that never moves shares no queue and no cache line with its neighbours, which is worth more here than an even
/// load: connections are many and short of work each.
pub async fn run<F, Fut>(name: &str, works: Vec<F>, failed: impl Fn()) -> Result<()>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<()>>,
{
    let mut left = works.len();
    let (ended, mut ends) = mpsc::channel(left.max(1));
    for (index, work) in works.into_iter().enumerate() {
        let ended = ended.clone();
        let body = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let outcome = match runtime {
                Ok(runtime) => runtime.block_on(work()),
                Err(error) => Err(cannot_start(error)),
            };
            // Nobody waits any more if the one who started us was dropped.
            let _ = ended.try_send(outcome);
        };
        thread::Builder::new().name(format!("{name}-{index}")).spawn(body).map_err(cannot_start)?;
    }
    drop(ended);
    let mut outcome = Ok(());
    while let Some(end) = ends.recv().await {
        left -= 1;
        if end.is_err() && outcome.is_ok() {
            outcome = end;
            failed();
        }
    }
    // A thread that said nothing has panicked.
    if left > 0 && outcome.is_ok() {
        outcome = Err(Error::new(codes::INTERNAL, "a worker crashed"));
    }
    outcome
}

/// One for each core that this process may use.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn cannot_start(error: std::io::Error) -> Error {
    Error::new(codes::INTERNAL, "a worker cannot be started").because(error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::Shutdown;

    #[tokio::test]
    async fn all_of_them_work_and_are_waited_for() {
        let sum = Arc::new(AtomicUsize::new(0));
        let work = |index| {
            let sum = Arc::clone(&sum);
            move || async move {
                sum.fetch_add(index + 1, Ordering::Relaxed);
                Ok(())
            }
        };
        run("test", (0..3_usize).map(work).collect(), || {}).await.unwrap();
        assert_eq!(sum.load(Ordering::Relaxed), 6);
    }

    #[tokio::test]
    async fn one_that_fails_lets_the_others_be_stopped() {
        let shutdown = Shutdown::new();
        let work = |index| {
            let shutdown = shutdown.clone();
            move || async move {
                if index == 0 {
                    return Err(Error::new(codes::INTERNAL, "it broke"));
                }
                shutdown.triggered().await;
                Ok(())
            }
        };
        let error = run("test", (0..2_usize).map(work).collect(), || shutdown.trigger()).await.unwrap_err();
        assert_eq!(error.detail(), "it broke");
    }

    #[tokio::test]
    async fn a_crash_is_an_error() {
        let work = || async { panic!("on purpose") };
        assert_eq!(run("test", vec![work], || {}).await.unwrap_err().detail(), "a worker crashed");
    }
}
