//! Whether anything is under way on an HTTP/1.1 connection.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Told by those who read, answer and write, all of them in the connection's own task.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Requests so far.
    begun: AtomicU32,
    /// An answer is being made or sent.
    answering: AtomicBool,
    /// Of what the client sends, something is still to come or is not looked at.
    inside: AtomicBool,
    /// The client does not take what is written.
    blocked: AtomicBool,
}

impl Activity {
    /// A request has come.
    pub(crate) fn begin(&self) {
        self.begun.store(self.begun.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.answering.store(true, Ordering::Relaxed);
    }

    /// Its answer is complete, or has been given up.
    pub(crate) fn end(&self) {
        self.answering.store(false, Ordering::Relaxed);
    }

    /// Something was read, after which the stream is, or is not, inside a request.
    pub(crate) fn read(&self, inside: bool) {
        self.inside.store(inside, Ordering::Relaxed);
    }

    /// Something was written, or could not be.
    pub(crate) fn written(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// If nothing is under way: after how many requests.
    pub(super) fn quiet_after(&self) -> Option<u32> {
        let busy = [&self.answering, &self.inside, &self.blocked];
        let quiet = busy.iter().all(|busy| !busy.load(Ordering::Relaxed));
        quiet.then(|| self.begun.load(Ordering::Relaxed))
    }
}
