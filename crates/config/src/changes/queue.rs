//! Changes that wait for the next write.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::waiting::Waiting;
use crate::error::{Error, Result};

/// What waits, and whether somebody is writing.
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    most: usize,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Box<dyn Waiting>>,
    is_running: bool,
}

impl Queue {
    /// At most so many wait.
    pub(crate) fn new(most: usize) -> Self {
        Self { inner: Mutex::default(), most: most.max(1) }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Puts one behind the others. True: nobody writes, so the caller has to see that somebody does.
    pub(super) fn push(&self, change: Box<dyn Waiting>) -> Result<bool> {
        let mut inner = self.lock();
        if inner.waiting.len() >= self.most {
            let text = format!("{} changes of the configuration are waiting already", self.most);
            return Err(Error::Store(trellis_storage::Error::Busy(text)));
        }
        inner.waiting.push_back(change);
        Ok(!std::mem::replace(&mut inner.is_running, true))
    }

    /// The next one, if `may` says so of it.
    pub(super) fn pop_if(&self, may: impl FnOnce(&dyn Waiting) -> bool) -> Option<Box<dyn Waiting>> {
        let mut inner = self.lock();
        if inner.waiting.front().is_some_and(|first| may(&**first)) {
            inner.waiting.pop_front()
        } else {
            None
        }
    }

    /// Whether the one who writes is done: nothing waits.
    pub(super) fn is_done(&self) -> bool {
        let mut inner = self.lock();
        inner.is_running = !inner.waiting.is_empty();
        !inner.is_running
    }

    /// All that wait.
    pub(super) fn take_all(&self) -> VecDeque<Box<dyn Waiting>> {
        std::mem::take(&mut self.lock().waiting)
    }

    /// Nobody writes any more; what waited.
    pub(super) fn give_up(&self) -> VecDeque<Box<dyn Waiting>> {
        let mut inner = self.lock();
        inner.is_running = false;
        std::mem::take(&mut inner.waiting)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
