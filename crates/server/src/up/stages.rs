//! Parts of the platform that are stopped together.

use std::future::Future;
use std::time::Duration;

use trellis_core::Error;
use trellis_runtime::{Shutdown, TaskKind, Tasks};

/// Tasks that the platform cannot do without, under a signal of their own.
pub(crate) struct Stage {
    name: &'static str,
    shutdown: Shutdown,
    tasks: Tasks,
}

impl Stage {
    pub(crate) fn new(name: &'static str) -> Self {
        let shutdown = Shutdown::new();
        Self { name, tasks: Tasks::new(shutdown.clone()), shutdown }
    }

    /// The signal that its tasks wait for.
    pub(crate) fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    pub(crate) fn spawn(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) {
        self.tasks.spawn(name, TaskKind::Essential, work);
    }

    /// Ends when one of its tasks has ended by itself.
    pub(crate) async fn ended(&self) {
        self.shutdown.triggered().await;
    }

    /// Tells its tasks to stop and waits for them up to `limit`. The error is that of the first task that failed.
    pub(crate) async fn stop(self, limit: Duration) -> Result<(), Error> {
        tracing::debug!(stage = self.name, "stopping");
        self.shutdown.trigger();
        self.tasks.join(limit).await
    }
}
