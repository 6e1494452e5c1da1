//! How changes are made: decided one after the other on a snapshot, written together, and then shown.
//!
//! Whoever wants a change puts what decides it into a queue. As long as a write is under way the queue grows; the next write
//! takes all that wait. Within an ordered transaction of the store it first takes in what other nodes have written, so
//! each change sees everything before it, and what has been decided is what was true.

mod batch;
mod queue;
mod waiting;

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::Step;
use crate::snapshot::Snapshot;

pub(crate) use queue::Queue;
use waiting::Change;

/// What a change decided.
pub(crate) struct Outcome<T> {
    pub(crate) value: T,
    /// What is written, in this order. Nothing: nothing is changed, and there is no new revision.
    pub(crate) steps: Vec<Step>,
}

/// The node that a change depends on being alive, and the list of members that it was decided on.
#[derive(Debug, Clone)]
pub(crate) struct Fence {
    pub(crate) node: Arc<str>,
    pub(crate) epoch: u64,
}

impl<T> Outcome<T> {
    /// Nothing is written.
    pub(crate) fn unchanged(value: T) -> Self {
        Self { value, steps: Vec::new() }
    }
}

impl Engine {
    /// Decides on the newest snapshot, with the revision that the change will have, and writes. Returns after the commit,
    /// when the snapshot has it; with the revision, if there is one. It is done even if the caller goes away.
    pub(crate) async fn change<T, F>(self: &Arc<Self>, decide: F) -> Result<(T, Option<u64>)>
    where
        F: FnOnce(&Snapshot, u64) -> Result<Outcome<T>> + Send + 'static,
        T: Send + 'static,
    {
        self.submit(None, decide).await
    }

    /// The same, if the node is a member still when it is written.
    pub(crate) async fn change_fenced<T, F>(
        self: &Arc<Self>,
        fence: Fence,
        decide: F,
    ) -> Result<(T, Option<u64>)>
    where
        F: FnOnce(&Snapshot, u64) -> Result<Outcome<T>> + Send + 'static,
        T: Send + 'static,
    {
        self.submit(Some(fence), decide).await
    }

    async fn submit<T, F>(self: &Arc<Self>, fence: Option<Fence>, decide: F) -> Result<(T, Option<u64>)>
    where
        F: FnOnce(&Snapshot, u64) -> Result<Outcome<T>> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        if self.changes.push(Box::new(Change::new(fence, decide, reply)))? {
            tokio::spawn(batch::run_all(self.clone()));
        }
        // The other end is dropped only when the runtime is shut down around it.
        answer.await.unwrap_or(Err(Error::Stopping))
    }
}
