//! A group of tasks whose kinds say what their end means.

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tracing::{error, warn};
use trellis_core::error::{Result, chain};
use trellis_core::{Error, codes};

use crate::Shutdown;

/// What the end of a task means to its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// The group cannot go on without it: its end, with an error or without, triggers the shutdown, and its error is
    /// the group's.
    Essential,
    /// The group goes on without it; its error is logged.
    Background,
}

/// A group of tasks under one [`Shutdown`]. Dropping the group aborts what still runs.
#[derive(Debug)]
pub struct Tasks {
    shutdown: Shutdown,
    running: Mutex<JoinSet<Ended>>,
}

#[derive(Debug)]
struct Ended {
    name: Cow<'static, str>,
    kind: TaskKind,
    result: Result<()>,
}

impl Tasks {
    /// An empty group.
    pub fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, running: Mutex::default() }
    }

    /// Starts a task. It should end soon after the group's shutdown is triggered.
    pub fn spawn(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: TaskKind,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        let name = name.into();
        let shutdown = self.shutdown.clone();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.spawn(async move {
            // An inner task, so that a panic becomes a result like any other; aborted with the outer one.
            let mut inner = JoinSet::new();
            inner.spawn(work);
            let result =
                inner.join_next().await.unwrap_or(Ok(Ok(()))).unwrap_or_else(|e| Err(crash(&name, &e)));
            if kind == TaskKind::Essential {
                shutdown.trigger();
            }
            Ended { name, kind, result }
        });
    }

    /// Waits for the shutdown, then up to `limit` for every task to end; aborts the rest. The error is that of the
    /// first essential task that failed.
    pub async fn join(self, limit: Duration) -> Result<()> {
        let Self { shutdown, running } = self;
        let mut running = running.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut outcome = Ok(());
        loop {
            tokio::select! {
                () = shutdown.triggered() => break,
                ended = running.join_next(), if !running.is_empty() => note(ended, &mut outcome),
            }
        }
        let drain = async {
            while !running.is_empty() {
                note(running.join_next().await, &mut outcome);
            }
        };
        if tokio::time::timeout(limit, drain).await.is_err() {
            warn!(left = running.len(), "tasks did not end in time and are aborted");
        }
        outcome
    }
}

fn note(ended: Option<Result<Ended, JoinError>>, outcome: &mut Result<()>) {
    let Some(Ok(Ended { name, kind, result: Err(failure) })) = ended else {
        return;
    };
    match kind {
        TaskKind::Essential if outcome.is_ok() => *outcome = Err(failure),
        TaskKind::Essential | TaskKind::Background => {
            error!(task = %name, error = chain(&failure), "task failed");
        }
    }
}

fn crash(name: &str, error: &JoinError) -> Error {
    Error::new(codes::INTERNAL, "a task crashed").because(format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    fn failure() -> Error {
        Error::new(codes::INTERNAL, "it broke")
    }

    #[tokio::test]
    async fn the_end_of_an_essential_task_stops_the_others() {
        let shutdown = Shutdown::new();
        let tasks = Tasks::new(shutdown.clone());
        tasks.spawn("waits", TaskKind::Background, async move {
            shutdown.triggered().await;
            Ok(())
        });
        tasks.spawn("fails", TaskKind::Essential, async { Err(failure()) });
        assert_eq!(tasks.join(LIMIT).await.unwrap_err().detail(), "it broke");
    }

    #[tokio::test]
    async fn a_background_failure_is_no_end() {
        let shutdown = Shutdown::new();
        let tasks = Tasks::new(shutdown.clone());
        tasks.spawn("panics", TaskKind::Background, async { panic!("on purpose") });
        tasks.spawn("fails", TaskKind::Background, async { Err(failure()) });
        tasks.spawn("ends well", TaskKind::Essential, async {
            tokio::task::yield_now().await;
            Ok(())
        });
        assert!(tasks.join(LIMIT).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_is_aborted() {
        let shutdown = Shutdown::new();
        let tasks = Tasks::new(shutdown.clone());
        tasks.spawn("hangs", TaskKind::Background, std::future::pending());
        shutdown.trigger();
        assert!(tasks.join(LIMIT).await.is_ok());
    }
}
