//! The one who writes where several members share the store: it also takes in what the others write, so that memory sees
//! all changes in one order, and no reading is overtaken by a writing.
//!
//! Nothing that a member decides by itself (the end of a lease, a removal, an adoption) is done in memory before it is
//! written, under the list of members that it was decided on.

mod behind;
mod decide;
mod lines;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::warn;
use trellis_core::error::chain;
use trellis_runtime::Shutdown;
use trellis_storage::{Change, Feed, FeedBatch, Store, members};

use crate::error::{Error, Result};
use crate::follow;
use crate::orders::{Batch, Order, Request, Why};
use crate::rows::{self, Halt, Line, Named};
use crate::shared::Shared;
use crate::state::State;
use crate::table::{AHEAD, Row};
use crate::writer::{MAX_BATCH, answer, count, keep_promise};
use lines::{line, nodes_of, stand};

/// How often statuses that changed by themselves are written down.
const TICK: Duration = Duration::from_millis(100);
/// How often it is looked for what nobody looks after, beside whenever members come or go.
const SWEEP: Duration = Duration::from_secs(1);
/// How often instances are looked for whose checks have been critical for too long.
const DOOM: Duration = Duration::from_secs(30);
/// A change that others are faster with so many times in a row is given up.
const TRIES: u32 = 16;
/// How long to wait after something could not be written.
const PAUSE: Duration = Duration::from_secs(1);
/// Who looks at leases so long after they ended was asleep, and cannot know who renewed meanwhile.
const ASLEEP: Duration = Duration::from_secs(5);
/// What a stop waits for the database.
const FAREWELL: Duration = Duration::from_secs(2);

/// What it works with.
pub(crate) struct Joint {
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Store,
    pub(crate) members: members::Handle,
    pub(crate) feed: Feed,
    pub(crate) requests: mpsc::Receiver<Request>,
    /// What comes before all other requests.
    next: VecDeque<Request>,
    /// What has to be read, since it is not known what became of it.
    doubtful: BTreeSet<Named>,
    /// Revisions of what was written here and has not come by yet.
    own: BTreeSet<u64>,
    /// Everything has to be read.
    lost: bool,
    /// The membership had ended when this was last looked at.
    lapsed: bool,
    reap_after: Instant,
    write_after: Instant,
    sweep_at: Instant,
    doom_at: Instant,
}

impl Joint {
    pub(crate) fn new(
        shared: Arc<Shared>,
        store: Store,
        members: members::Handle,
        feed: Feed,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            store,
            members,
            feed,
            requests,
            next: VecDeque::new(),
            doubtful: BTreeSet::new(),
            own: BTreeSet::new(),
            lost: false,
            lapsed: false,
            reap_after: now,
            write_after: now,
            sweep_at: now,
            doom_at: now + DOOM,
        }
    }

    /// Runs until the shutdown; takes what the platform runs here off the table then.
    pub(crate) async fn run(mut self, shutdown: &Shutdown) {
        let mut promised = self.shared.read(State::index) + AHEAD;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut living = self.members.live();
        let shared = self.shared.clone();
        loop {
            if let Some(request) = self.next.pop_front() {
                self.commit(request).await;
            }
            if !self.next.is_empty() && !shutdown.is_triggered() {
                continue;
            }
            let deadline = shared.read(State::next_deadline).map(|at| at.max(self.reap_after));
            let due = async {
                match deadline {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = shutdown.triggered() => break,
                _ = tick.tick() => {
                    self.tick().await;
                    keep_promise(&shared, &self.store, &mut promised).await;
                }
                () = due => self.expire(),
                () = shared.earlier.notified() => {}
                Ok(()) = living.changed() => self.adopt(),
                batch = self.feed.next() => match batch {
                    Ok(batch) => self.follow(batch).await,
                    Err(error) => {
                        warn!(error = %chain(&error), "changes of other members cannot be read");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                Some(request) = self.requests.recv() => self.commit(request).await,
            }
        }
        if self.members.is_live() && tokio::time::timeout(FAREWELL, self.leave()).await.is_err() {
            warn!("the database did not answer; others remove what ran here");
        }
    }

    async fn follow(&mut self, batch: FeedBatch) {
        match batch {
            FeedBatch::Changes { changes, .. } => {
                let is_news =
                    |change: &&Change| &*change.topic == rows::TOPIC && !self.own.remove(&change.revision);
                let names: BTreeSet<Named> =
                    changes.iter().filter(is_news).filter_map(|change| Named::parse(&change.key)).collect();
                self.doubtful.extend(names);
            }
            FeedBatch::Resync { .. } => {
                self.own.clear();
                self.lost = true;
            }
        }
        self.catch_up().await;
    }

    /// Reads what has to be read. What cannot be read now is read later.
    async fn catch_up(&mut self) {
        if self.lost {
            match follow::everything(&self.shared, &self.store).await {
                Ok(()) => (self.lost, self.doubtful) = (false, BTreeSet::new()),
                Err(error) => warn!(error = %chain(&error), "what is registered cannot be read; tried again"),
            }
            return;
        }
        while !self.doubtful.is_empty() {
            let names: Vec<Named> = self.doubtful.iter().take(MAX_BATCH * 2).cloned().collect();
            if let Err(error) = follow::some(&self.shared, &self.store, &names).await {
                warn!(error = %chain(&error), "changes of other members cannot be read; tried again");
                return;
            }
            for name in names {
                self.doubtful.remove(&name);
            }
        }
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        if now < self.write_after {
            return;
        }
        if self.lost || !self.doubtful.is_empty() {
            self.write_after = now + PAUSE;
            self.catch_up().await;
            if self.lost || !self.doubtful.is_empty() {
                return;
            }
            self.write_after = now;
        }
        self.write_changed().await;
        if now >= self.sweep_at {
            self.sweep_at = now + SWEEP;
            self.adopt();
        }
        if now >= self.doom_at {
            self.doom_at = now + DOOM;
            self.doom();
        }
    }

    /// Writes one batch and does what it says.
    async fn commit(&mut self, first: Request) {
        let (mut batch, mut taken, mut candidate) = (Batch::default(), Vec::new(), Some(first));
        self.shared.read(|state| {
            while let Some(request) = candidate.take() {
                if !batch.takes(&request.order, state) {
                    self.next.push_front(request);
                    break;
                }
                taken.push(request);
                if batch.len() < MAX_BATCH {
                    candidate = self.next.pop_front().or_else(|| self.requests.try_recv().ok());
                }
            }
        });
        let fence = batch.fence().map(|epoch| (self.members.node_id().clone(), epoch));
        for _ in 0..TRIES {
            let (planned, lines) = self.plan(taken);
            if lines.is_empty() {
                return self.apply(planned, &[], Vec::new());
            }
            match rows::write(&self.store, lines.clone(), fence.clone()).await {
                Ok(revisions) => return self.apply(planned, &lines, revisions),
                Err(Halt::Moved) => {
                    self.doubtful.extend(lines.iter().map(|line| Named::of_row(&line.row)));
                    self.doubtful.extend(nodes_of(&lines));
                    self.catch_up().await;
                    taken = planned.into_iter().map(|(request, _)| request).collect();
                }
                Err(Halt::Store(error)) => {
                    if error.outcome_unknown() {
                        self.doubtful.extend(lines.iter().map(|line| Named::of_row(&line.row)));
                    }
                    let requests = planned.into_iter().map(|(request, _)| request).collect();
                    return self.refuse(requests, &error);
                }
            }
        }
        let error = "other members change the same all the time; try again".to_owned();
        self.refuse(taken, &trellis_storage::Error::Busy(error));
    }

    /// Judges each; those that may not be are answered. How many lines each has.
    fn plan(&self, taken: Vec<Request>) -> (Vec<(Request, usize)>, Vec<Line>) {
        let (mut planned, mut lines) = (Vec::new(), Vec::new());
        self.shared.make(|state| {
            let now = self.shared.now();
            for request in taken {
                match request.order.plan(state, planned.len(), now) {
                    Ok(rows) => {
                        let count = rows.len();
                        lines
                            .extend(rows.into_iter().map(|row| line(row, request.order.takes_over(), state)));
                        planned.push((request, count));
                    }
                    Err(refused) => answer(request, Err(refused)),
                }
            }
        });
        (planned, lines)
    }

    fn apply(&mut self, planned: Vec<(Request, usize)>, lines: &[Line], revisions: Vec<u64>) {
        let mut answers = Vec::with_capacity(planned.len());
        let mut written = lines.iter().zip(revisions.iter().copied());
        let done: Result<()> = self.shared.steps(|state, now, tell| {
            for (Request { order, done }, rows) in planned {
                count(&self.shared, &order);
                let mine: Vec<_> = written.by_ref().take(rows).collect();
                for (line, revision) in &mine {
                    stand(line, *revision, state, now);
                }
                let result = order.apply(state, now);
                for (line, revision) in &mine {
                    stand(line, *revision, state, now);
                    if let Row::Override(about, said) = &line.row {
                        state.date_override(about, *said);
                    }
                }
                answers.push((done, result.map(|changed| tell(state, changed))));
            }
            Ok(())
        });
        debug_assert!(done.is_ok(), "nothing in it fails");
        self.own.extend(revisions);
        for (done, result) in answers {
            // Whoever asked may have gone; what was done holds all the same.
            let _gone = done.send(result);
        }
    }

    fn refuse(&self, requests: Vec<Request>, error: &trellis_storage::Error) {
        warn!(error = %chain(error), orders = requests.len(), "could not be written down");
        self.shared.make(|state| {
            let now = self.shared.now();
            for request in &requests {
                if let Order::End(key, _) | Order::Purge(key, Why::Over, _) = &request.order {
                    state.postpone(key, now.instant + PAUSE, now);
                }
            }
        });
        for request in requests {
            answer(request, Err(Error::Store(error.clone())));
        }
    }
}
