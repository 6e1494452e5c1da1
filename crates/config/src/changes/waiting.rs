//! One change that waits for its turn, with its types erased.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::{Fence, Outcome};
use crate::error::{Error, Result};
use crate::journal::Step;
use crate::snapshot::Snapshot;

/// One change, from the queue to its answer.
pub(crate) trait Waiting: Send {
    /// What it depends on.
    fn fence(&self) -> Option<&Fence>;

    /// Decides. No steps: it was refused, or there is nothing to do.
    fn decide(&mut self, snapshot: &Snapshot, revision: u64) -> Vec<Step>;

    /// What it decided cannot be.
    fn refuse(&mut self, error: Error);

    /// Answers the caller: with what was decided, or with this error in its place.
    fn finish(self: Box<Self>, outcome: Result<()>);
}

/// What becomes of a change is told here.
type Reply<T> = oneshot::Sender<Result<(T, Option<u64>)>>;

pub(super) struct Change<T, F> {
    fence: Option<Fence>,
    decide: Option<F>,
    decided: Option<Result<(T, Option<u64>)>>,
    reply: Reply<T>,
}

impl<T, F> Change<T, F> {
    pub(super) fn new(fence: Option<Fence>, decide: F, reply: Reply<T>) -> Self {
        Self { fence, decide: Some(decide), decided: None, reply }
    }
}

impl<T, F> Waiting for Change<T, F>
where
    F: FnOnce(&Snapshot, u64) -> Result<Outcome<T>> + Send,
    T: Send,
{
    fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    fn decide(&mut self, snapshot: &Snapshot, revision: u64) -> Vec<Step> {
        let Some(decide) = self.decide.take() else { return Vec::new() };
        // It has touched nothing but what it was to give back.
        let decided = catch_unwind(AssertUnwindSafe(|| decide(snapshot, revision)));
        match decided.unwrap_or_else(|_| Err(panicked())) {
            Ok(Outcome { value, steps }) => {
                self.decided = Some(Ok((value, (!steps.is_empty()).then_some(revision))));
                steps
            }
            Err(error) => {
                self.decided = Some(Err(error));
                Vec::new()
            }
        }
    }

    fn refuse(&mut self, error: Error) {
        self.decided = Some(Err(error));
    }

    fn finish(self: Box<Self>, outcome: Result<()>) {
        let answer = match (outcome, self.decided) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(decided)) => decided,
            (Ok(()), None) => Err(Error::Stopping),
        };
        // A caller that went away does not want to know.
        let _gone = self.reply.send(answer);
    }
}

fn panicked() -> Error {
    trellis_storage::Error::Statement("the code that decides this change panicked".into()).into()
}
