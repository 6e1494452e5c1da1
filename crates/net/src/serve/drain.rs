//! Telling connections to end, and waiting until they have.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

/// The open connections of one listener.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drain(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: Mutex<Open>,
    none_left: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    draining: bool,
    flags: HashMap<u64, Arc<Flag>>,
}

#[derive(Debug, Default)]
struct Flag {
    stop: AtomicBool,
    abandon: AtomicBool,
    waker: AtomicWaker,
}

/// What a connection is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    GoOn,
    /// Finish what is under way, and take nothing more.
    Finish,
    /// Too late: break off.
    Abandon,
}

/// One open connection's place in it. To look at it costs a load and no lock, so that it can be done at every wake-up.
#[derive(Debug)]
pub(crate) struct Place {
    drain: Drain,
    number: u64,
    flag: Arc<Flag>,
    registered: bool,
}

impl Drain {
    /// Adds a connection.
    pub(crate) fn place(&self) -> Place {
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        let flag = Arc::new(Flag { stop: AtomicBool::new(open.draining), ..Flag::default() });
        open.flags.insert(number, Arc::clone(&flag));
        drop(open);
        Place { drain: self.clone(), number, flag, registered: false }
    }

    /// Tells all connections to finish, and waits until they have.
    pub(crate) async fn all(&self) {
        self.tell(|flag| &flag.stop);
        loop {
            let empty = self.0.none_left.notified();
            if self.open().flags.is_empty() {
                return;
            }
            empty.await;
        }
    }

    /// Tells what is left to break off.
    pub(crate) fn abandon(&self) {
        self.tell(|flag| &flag.abandon);
    }

    fn tell(&self, which: impl Fn(&Flag) -> &AtomicBool) {
        let mut open = self.open();
        open.draining = true;
        for flag in open.flags.values() {
            which(flag).store(true, Ordering::Release);
            flag.waker.wake();
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// What is wanted now; the task is woken when that changes.
    pub(crate) fn wanted(&mut self, cx: &Context<'_>) -> Wanted {
        // A connection is polled by one task only, whose waker stays the same.
        if !self.registered {
            self.flag.waker.register(cx.waker());
            self.registered = true;
        }
        match (self.flag.abandon.load(Ordering::Acquire), self.flag.stop.load(Ordering::Acquire)) {
            (true, _) => Wanted::Abandon,
            (_, true) => Wanted::Finish,
            _ => Wanted::GoOn,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.drain.open();
        open.flags.remove(&self.number);
        if open.flags.is_empty() {
            self.drain.0.none_left.notify_waiters();
        }
    }
}
