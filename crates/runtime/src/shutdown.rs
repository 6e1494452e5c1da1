//! One signal that reaches everything.

use tokio_util::sync::CancellationToken;

/// A signal to stop, given once and never taken back. Clones share it; a child can be triggered on its own.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A signal that has not been given.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal. Doing so twice changes nothing.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Whether the signal has been given.
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Ends when the signal is given.
    pub async fn triggered(&self) {
        self.0.cancelled().await;
    }

    /// Like [`triggered`](Self::triggered), for a future that outlives `self`.
    pub async fn into_triggered(self) {
        self.0.cancelled_owned().await;
    }

    /// A signal that is given with this one, or earlier by itself.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
}
