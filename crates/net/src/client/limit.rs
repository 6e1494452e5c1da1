//! How many connections there may be to one address, whichever worker opens them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::h1::Wire;
use super::{ConnectError, Pool};

/// A bound on the connections that several pools have to one address. Who comes when there are enough waits for one, in
/// turn, and gets it from whichever worker is done first.
#[derive(Debug)]
pub struct ConnectionLimit {
    max: u32,
    state: Mutex<State>,
    /// Where an idle connection may be found.
    pools: Mutex<Vec<Weak<Pool>>>,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    open: u32,
    waiting: VecDeque<oneshot::Sender<Grant>>,
}

/// Leave to have one connection open, until dropped.
#[derive(Debug)]
pub(super) struct Room(Option<Arc<ConnectionLimit>>);

/// What a wait ends with.
#[derive(Debug)]
pub(super) enum Grant {
    /// A connection may be made.
    Room(Room),
    /// One that somebody else has done with.
    Wire(Box<Wire>),
}

/// Most requests that wait for a connection to one address; more are refused at once.
const MAX_WAITING: usize = 1024;

impl ConnectionLimit {
    /// At most `max` connections; 0 is taken as 1.
    pub fn new(max: u32) -> Arc<Self> {
        let (state, pools, refused) = (Mutex::default(), Mutex::default(), AtomicU64::new(0));
        Arc::new(Self { max: max.max(1), state, pools, refused })
    }

    /// Connections now.
    pub fn open(&self) -> u32 {
        self.state().open
    }

    /// Requests that have waited in vain.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn join(&self, pool: Weak<Pool>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|known| known.strong_count() > 0);
        pools.push(pool);
    }

    /// What `look` finds in one of the pools.
    pub(super) fn find<T>(&self, look: impl FnMut(Arc<Pool>) -> Option<T>) -> Option<T> {
        let pools: Vec<_> = self.pools.lock().unwrap_or_else(PoisonError::into_inner).clone();
        pools.iter().filter_map(Weak::upgrade).find_map(look)
    }

    /// Room for one more connection, if there is.
    pub(super) fn room(self: &Arc<Self>) -> Option<Room> {
        let mut state = self.state();
        (state.open < self.max).then(|| {
            state.open += 1;
            Room(Some(Arc::clone(self)))
        })
    }

    /// Room or a connection, as soon as there is one.
    pub(super) async fn wait(self: &Arc<Self>, within: Duration) -> Option<Grant> {
        let granted = self.queue()?;
        // What became free before we stood in the queue was not offered to us.
        if let Some(grant) = self.room().map(Grant::Room).or_else(|| self.idle().map(Grant::Wire)) {
            return Some(grant);
        }
        timeout(within, granted).await.ok()?.ok()
    }

    /// Counts a request that gets no connection.
    pub(super) fn refuse(&self) -> ConnectError {
        self.refused.fetch_add(1, Ordering::Relaxed);
        ConnectError::Full(self.max)
    }

    /// Ends all waits: there is a connection now that can be shared.
    pub(super) fn wake(&self) {
        self.state().waiting.clear();
    }

    /// Whether somebody waits.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// Gives a connection to whoever waits first; back to the caller if nobody does.
    pub(super) fn hand_over(&self, mut wire: Box<Wire>) -> Option<Box<Wire>> {
        loop {
            let Some(first) = self.state().waiting.pop_front() else { return Some(wire) };
            match first.send(Grant::Wire(wire)) {
                Err(Grant::Wire(unwanted)) => wire = unwanted,
                _ => return None,
            }
        }
    }

    fn idle(&self) -> Option<Box<Wire>> {
        self.find(|pool| pool.take_idle())
    }

    fn queue(&self) -> Option<oneshot::Receiver<Grant>> {
        let mut state = self.state();
        if state.waiting.len() >= MAX_WAITING {
            state.waiting.retain(|waiting| !waiting.is_closed());
        }
        (state.waiting.len() < MAX_WAITING).then(|| {
            let (grant, granted) = oneshot::channel();
            state.waiting.push_back(grant);
            granted
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Some(limit) = self.0.take() else { return };
        loop {
            // Under one lock: who begins to wait sees either the room or that it stands in the queue.
            let mut state = limit.state();
            let Some(first) = state.waiting.pop_front() else {
                state.open -= 1;
                return;
            };
            drop(state);
            match first.send(Grant::Room(Self(Some(Arc::clone(&limit))))) {
                // Taken apart, or it would do the same again.
                Err(Grant::Room(mut room)) => room.0 = None,
                _ => return,
            }
        }
    }
}
