//! The one who writes: orders in the order in which they came, many to a commit.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};
use trellis_core::error::chain;
use trellis_runtime::Shutdown;
use trellis_storage::Store;

use crate::error::{Error, Result};
use crate::file::FileWrite;
use crate::orders::{Batch, Order, Request, rows_of};
use crate::shared::Shared;
use crate::state::State;
use crate::table::{self, AHEAD};

/// So many orders share a commit at most.
pub(crate) const MAX_BATCH: usize = 512;
/// How often statuses that changed by themselves are written down.
const FLUSH: Duration = Duration::from_secs(1);

/// Takes orders until the shutdown. Done here and not in the caller, who may go away between disk and memory; and one
/// after the other, so that both see them in the same order.
pub(crate) async fn run(
    shared: &Shared,
    store: &Store,
    mut requests: mpsc::Receiver<Request>,
    shutdown: &Shutdown,
) {
    let mut promised = shared.read(State::index) + AHEAD;
    let mut flush = interval(FLUSH);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = None;
    loop {
        let first = if let Some(request) = next.take() {
            request
        } else {
            tokio::select! {
                biased;
                () = shutdown.triggered() => break,
                request = requests.recv() => match request {
                    Some(request) => request,
                    None => break,
                },
                _ = flush.tick() => {
                    write_changed(shared, store).await;
                    keep_promise(shared, store, &mut promised).await;
                    continue;
                }
            }
        };
        next = commit(shared, store, first, &mut requests).await;
    }
    shutdown.triggered().await;
    // What is not written now is found out again after the next start.
    write_changed(shared, store).await;
}

/// Writes one batch and does what it says. An order that has to wait for the next.
async fn commit(
    shared: &Shared,
    store: &Store,
    first: Request,
    requests: &mut mpsc::Receiver<Request>,
) -> Option<Request> {
    let (mut batch, mut taken, mut left) = (Batch::default(), Vec::new(), None);
    let mut write = FileWrite::default();
    let mut candidate = Some(first);
    shared.make(|state| {
        let now = shared.now();
        while let Some(request) = candidate.take() {
            if !batch.takes(&request.order, state) {
                left = Some(request);
                break;
            }
            match request.order.rows(state, taken.len(), now) {
                Ok(rows) => {
                    write.add(rows, state);
                    taken.push(request);
                }
                Err(refused) => answer(request, Err(refused)),
            }
            if batch.len() < MAX_BATCH {
                candidate = requests.try_recv().ok();
            }
        }
        if !write.rows.is_empty() {
            write.sweep(state);
        }
    });
    let rows = std::mem::take(&mut write.rows);
    match table::write(store, rows, shared.options.node.name.clone()).await {
        Ok(()) => apply(shared, taken, write),
        Err(error) => {
            warn!(error = %chain(&error), orders = taken.len(), "could not be written down");
            shared.make(|state| {
                let doubtful = taken.iter().filter_map(|request| request.order.doubtful(state)).collect();
                state.put_dirty(doubtful);
                write.not_written(state);
            });
            for request in taken {
                answer(request, Err(Error::Store(error.clone())));
            }
        }
    }
    left
}

fn apply(shared: &Shared, taken: Vec<Request>, write: FileWrite) {
    let mut answers = Vec::with_capacity(taken.len());
    let done: Result<()> = shared.steps(|state, now, tell| {
        write.removed(state);
        for request in taken {
            let Request { order, done } = request;
            count(shared, &order);
            if let Order::Override(about, status) = &order {
                let shown = status.map_or("none", trellis_core::Status::as_str);
                info!(?about, status = shown, "an operator's override was set or cleared");
            }
            let doubtful = order.doubtful(state);
            let result = order.apply(state, now);
            if result.is_err() {
                // The platform was faster with something else; memory counts.
                state.put_dirty(doubtful.into_iter().collect());
            }
            answers.push((done, result.map(|changed| tell(state, changed))));
        }
        write.placed(state);
        Ok(())
    });
    debug_assert!(done.is_ok(), "nothing in it fails");
    for (done, result) in answers {
        // Whoever asked may have gone; what was done holds all the same.
        let _gone = done.send(result);
    }
}

pub(crate) fn count(shared: &Shared, order: &Order) {
    match order {
        Order::Register(_) => shared.counters.registrations.add(1),
        Order::End(..) => shared.counters.expiries.add(1),
        Order::Remove(_) => shared.counters.deregistrations.add(1),
        _ => {}
    }
}

pub(crate) fn answer(request: Request, result: Result<()>) {
    let _gone = request.done.send(result);
}

/// Brings rows in line with statuses that changed by themselves.
async fn write_changed(shared: &Shared, store: &Store) {
    while shared.read(State::has_unwritten) {
        let mut write = FileWrite::default();
        let (dirty, rows) = shared.make(|state| {
            let dirty = state.take_dirty(MAX_BATCH);
            let rows = rows_of(&dirty, state).map(|rows| {
                write.add(rows, state);
                write.sweep(state);
                std::mem::take(&mut write.rows)
            });
            (dirty, rows)
        });
        let written = match rows {
            Ok(rows) => table::write(store, rows, shared.options.node.name.clone()).await,
            Err(Error::Store(error)) => Err(error),
            Err(_) => Ok(()),
        };
        if let Err(error) = written {
            warn!(error = %chain(&error), "changed statuses could not be written down; tried again");
            shared.make(|state| {
                state.put_dirty(dirty);
                write.not_written(state);
            });
            return;
        }
        shared.make(|state| {
            write.removed(state);
            write.placed(state);
        });
    }
}

/// A later run must not start below what this one has reached.
pub(crate) async fn keep_promise(shared: &Shared, store: &Store, promised: &mut u64) {
    let index = shared.read(State::index);
    if index + AHEAD / 2 > *promised {
        match table::promise(store, index + AHEAD).await {
            Ok(()) => *promised = index + AHEAD,
            Err(error) => warn!(error = %chain(&error), "the index could not be written down"),
        }
    }
}
