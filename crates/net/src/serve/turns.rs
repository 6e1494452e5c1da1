//! Which of several workers takes the next connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// How many connections each worker has. The kernel wakes all of them for a new one, and the quickest would get it: an
/// idle worker is quick, but so is one that has just been busy. So only those with the fewest take it.
#[derive(Debug)]
pub(super) struct Turns {
    open: Box<[AtomicUsize]>,
    changed: Notify,
}

/// A worker's place among them.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    worker: usize,
}

/// Counts a connection until dropped.
#[derive(Debug)]
pub(super) struct Taken(Turn);

impl Turns {
    pub(super) fn new(workers: usize) -> Arc<Self> {
        let open = (0..workers.max(1)).map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Self { open, changed: Notify::new() })
    }

    /// The place of `worker`; one that is not known shares with the last.
    pub(super) fn of(self: &Arc<Self>, worker: usize) -> Turn {
        Turn { turns: Arc::clone(self), worker: worker.min(self.open.len() - 1) }
    }
}

impl Turn {
    /// Waits until no other worker has fewer connections.
    pub(super) async fn comes(&self) {
        loop {
            let changed = self.turns.changed.notified();
            if self.has_come() {
                return;
            }
            changed.await;
        }
    }

    /// Counts a connection of this worker.
    pub(super) fn take(&self) -> Taken {
        self.turns.open[self.worker].fetch_add(1, Ordering::Relaxed);
        self.tell();
        Taken(self.clone())
    }

    fn has_come(&self) -> bool {
        let own = self.turns.open[self.worker].load(Ordering::Relaxed);
        // Not compared with itself: a connection may end between the two looks, and where there is one worker nobody tells.
        let others = self.turns.open.iter().enumerate().filter(|(worker, _)| *worker != self.worker);
        others.map(|(_, other)| other.load(Ordering::Relaxed)).all(|other| other >= own)
    }

    fn tell(&self) {
        if self.turns.open.len() > 1 {
            self.turns.changed.notify_waiters();
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.turns.open[self.0.worker].fetch_sub(1, Ordering::Relaxed);
        self.0.tell();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn it_is_always_the_turn_of_who_is_alone() {
        let turn = Turns::new(1).of(0);
        let (busy, over) = (turn.clone(), std::sync::atomic::AtomicBool::new(false));
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    drop(busy.take());
                }
            });
            let always = (0..200_000).all(|_| turn.comes().now_or_never().is_some());
            over.store(true, Ordering::Relaxed);
            assert!(always, "it would wait for ever");
        });
    }

    #[test]
    fn whoever_has_the_fewest_is_next() {
        let turns = Turns::new(2);
        let (a, b) = (turns.of(0), turns.of(1));
        let first = a.take();
        assert!(a.comes().now_or_never().is_none() && b.comes().now_or_never().is_some());
        let mut waiting = Box::pin(a.comes());
        assert!(waiting.as_mut().now_or_never().is_none());
        let second = b.take();
        assert!(waiting.now_or_never().is_some());
        drop(second);
        assert!(a.comes().now_or_never().is_none());
        drop(first);
        assert!(a.comes().now_or_never().is_some());
    }
}
