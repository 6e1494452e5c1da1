//! A write that waits for its turn, with its types erased.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::{Error, Tx};

/// What sort of write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One that announces nothing.
    Plain,
    /// One that has its place in the order of all nodes, and may announce.
    Ordered,
}

/// One write, from the queue to its acknowledgement.
pub(crate) trait Work: Send {
    /// What sort of write it is.
    fn kind(&self) -> Kind;

    /// How long it may wait for a lock and hold its transaction, if that is not what the options say.
    fn limit(&self) -> Option<Duration>;

    /// Runs the closure; true when it succeeded and its changes are to be kept.
    fn run<'w>(&'w mut self, tx: &'w mut Tx) -> BoxFuture<'w, bool>;

    /// Answers the caller: with the closure's own result, or with this error in its place.
    fn finish(self: Box<Self>, outcome: Result<(), Error>);
}

pub(crate) struct Job<T, E, F> {
    work: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
    kind: Kind,
    limit: Option<Duration>,
}

impl<T, E, F> Job<T, E, F> {
    pub(crate) fn new(
        work: F,
        kind: Kind,
        limit: Option<Duration>,
    ) -> (Box<Self>, oneshot::Receiver<Result<T, E>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { work: Some(work), result: None, reply, kind, limit }), answer)
    }
}

impl<T, E, F> Work for Job<T, E, F>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn kind(&self) -> Kind {
        self.kind
    }

    fn limit(&self) -> Option<Duration> {
        self.limit
    }

    fn run<'w>(&'w mut self, tx: &'w mut Tx) -> BoxFuture<'w, bool> {
        async move {
            let Some(work) = self.work.take() else {
                return false;
            };
            // The changes of work that panicked are rolled back, so nothing half-done is seen afterwards.
            let ran = AssertUnwindSafe(async { work(tx).await }).catch_unwind().await;
            let result = ran.unwrap_or_else(|panic| Err(E::from(panicked(panic.as_ref()))));
            let keep = result.is_ok();
            self.result = Some(result);
            keep
        }
        .boxed()
    }

    fn finish(self: Box<Self>, outcome: Result<(), Error>) {
        let answer = match (outcome, self.result) {
            (Err(error), _) => Err(E::from(error)),
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(E::from(Error::Statement("the write was never run".to_owned()))),
        };
        // A caller that went away does not want to know.
        let _ = self.reply.send(answer);
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::Statement(format!("the code of this write panicked: {text}"))
}
