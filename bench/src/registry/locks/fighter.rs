//! One client: it begins a session, takes locks, writes under their tokens, and gives them back, or does not.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use trellis_testkit::{Bond, Hold, Life};

use super::super::nodes::cluster::State;
use super::calls::{Calls, Kind, Locked, TTL};
use super::story::{Held, Story};

/// Between two things that it does.
const BREATH: Duration = Duration::from_millis(5);
/// After an answer that never came, or after it was refused a lock.
const REST: Duration = Duration::from_millis(25);
/// A node that gave no answer is not asked for so long, if there are others.
const SHUN: Duration = Duration::from_secs(2);
/// How often it takes locks under one session.
const HOLDS: usize = 12;
/// Old tokens that it remembers, and writes under now and then.
const OLD: usize = 8;

/// Which nodes a client asks, and how long it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// All in turn; most holds are short. Its sessions are of any node, whichever it asks.
    Rover,
    /// One only, as those do that have an agent beside them. Its sessions are of that node.
    Loyal(usize),
    /// One only, and it holds as long as it can. Its sessions are of that node, and of one kind.
    Sitter { node: usize, kind: Kind },
}

/// The nodes as a client knows them.
pub(super) struct Nodes {
    pub(super) states: Vec<Arc<State>>,
    /// What they are called in the registry.
    pub(super) names: Arc<[String]>,
}

pub(super) struct Fighter {
    habit: Habit,
    /// Its own number, and one more for each session that it has begun: says of what kind the next one is.
    turn: usize,
    nodes: Nodes,
    story: Arc<Story>,
    lock_delay: Duration,
    calls: Vec<Option<Calls>>,
    /// By node: until when it is not asked.
    shunned: Vec<Duration>,
    /// Locks that it once had, with their tokens.
    old: Vec<(usize, u64)>,
}

/// A session that it has.
struct Mine {
    id: String,
    life: Life,
    is_over: bool,
}

/// How a hold ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Release,
    Destroy,
    Vanish,
}

impl Mine {
    fn is_timed(&self) -> bool {
        matches!(self.life.bond, Bond::Time(_))
    }

    /// Its client cannot know any more whether it is there. One without a time is there as far as its client knows.
    fn is_out_of_time(&self, now: Duration) -> bool {
        matches!(self.life.bond, Bond::Time(ttl) if now >= self.life.since + ttl)
    }
}

impl Fighter {
    pub(super) fn new(
        habit: Habit,
        turn: usize,
        nodes: Nodes,
        story: Arc<Story>,
        lock_delay: Duration,
    ) -> Self {
        let (calls, shunned) = nodes.names.iter().map(|_| (None, Duration::ZERO)).unzip();
        Self { habit, turn, nodes, story, lock_delay, calls, shunned, old: Vec::new() }
    }

    /// Fights until the story is over.
    pub(super) async fn fight(mut self) {
        while self.story.goes_on() {
            let Some(mut mine) = self.begin().await else { continue };
            for _ in 0..HOLDS {
                if mine.is_over || !self.story.goes_on() {
                    break;
                }
                self.keep(&mut mine).await;
                self.take(&mut mine).await;
            }
            if !mine.is_over && !mine.is_timed() {
                // It would be there for ever.
                self.give_up(&mut mine).await;
            }
        }
    }

    async fn begin(&mut self) -> Option<Mine> {
        let (kind, home) = match self.habit {
            Habit::Rover => (None, fastrand::usize(..self.nodes.names.len())),
            Habit::Loyal(node) => (None, node),
            Habit::Sitter { node, kind } => (Some(kind), node),
        };
        let kind = kind.unwrap_or(Kind::ALL[self.turn % Kind::ALL.len()]);
        let (home, delay) = (self.nodes.names[home].clone(), self.lock_delay);
        let since = self.story.now();
        let id = self.ask(async |calls: &mut Calls| calls.begin(kind, &home, delay).await).await?;
        self.turn += 1;
        self.story.count(|counts| {
            counts.sessions += 1;
            counts.untimed += u64::from(!kind.timed);
        });
        Some(Mine { id, life: Life { since, bond: kind.bond(&home) }, is_over: false })
    }

    /// Fights for one lock.
    async fn take(&mut self, mine: &mut Mine) {
        let lock = fastrand::usize(..self.story.locks());
        let (node, id) = (self.any(), mine.id.clone());
        let asked = self.story.now();
        let Some(has_it) = self.ask_at(node, async |calls: &mut Calls| calls.acquire(lock, &id).await).await
        else {
            // It may have it by now or later, and does not know. So nobody else may until the session is over.
            return self.give_up(mine).await;
        };
        if !has_it {
            self.story.count(|counts| counts.refusals += 1);
            return tokio::time::sleep(REST).await;
        }
        let granted = self.story.now();
        self.story.granted();
        // The same node has to know what it has just said.
        let found = self.ask_at(node, async |calls: &mut Calls| calls.look(lock, false).await).await;
        let Some(found) = found else { return self.give_up(mine).await };
        let Some(token) = self.token(found.as_ref(), mine, "it") else { return self.give_up(mine).await };
        let hold = Hold { session: id, token, asked, granted, until: granted };
        self.use_it(lock, hold, node, mine).await;
    }

    /// Holds a lock for a while, and ends the hold in one of several ways.
    async fn use_it(&mut self, lock: usize, mut hold: Hold, node: usize, mine: &mut Mine) {
        // Most hold it for a moment; some for so long that they have to renew their session in between.
        let (rounds, breath) = match self.habit {
            Habit::Sitter { .. } => (1_000, BREATH * 20),
            _ if fastrand::u8(..48) == 0 => (fastrand::usize(100..1500), BREATH),
            _ => (fastrand::usize(1..6), BREATH),
        };
        for _ in 0..rounds {
            if mine.is_over || mine.is_out_of_time(self.story.now()) || !self.story.goes_on() {
                break;
            }
            if !self.story.write(lock, hold.token) {
                // Somebody else has it. Whether that may be is judged at the end.
                break;
            }
            self.story.count(|counts| counts.writes += 1);
            if fastrand::u8(..16) == 0 {
                self.look_elsewhere(lock, node, mine).await;
            }
            self.write_under_an_old_token();
            tokio::time::sleep(breath).await;
            self.keep(mine).await;
        }
        let end = match fastrand::u8(..128) {
            // Nobody would ever get the lock of one whose session has no end.
            0 if mine.is_timed() => End::Vanish,
            1..6 => End::Destroy,
            _ => End::Release,
        };
        let at = self.story.now();
        hold.until = match end {
            End::Release => at,
            End::Destroy => at + self.lock_delay,
            End::Vanish => Duration::MAX,
        };
        self.remember(lock, hold.token);
        let id = hold.session.clone();
        // Before the request that ends it: nobody can be faster.
        self.story.held(lock, Held { hold, life: mine.life.clone(), lock_delay: self.lock_delay });
        match end {
            End::Release => {
                let released = self.ask(async |calls: &mut Calls| calls.release(lock, &id).await).await;
                match released {
                    Some(true) => {}
                    Some(false) => self.lost(mine, format!("lock {lock} cannot be given back")),
                    None => self.give_up(mine).await,
                }
            }
            End::Destroy => {
                self.story.count(|counts| counts.destroyed += 1);
                self.give_up(mine).await;
            }
            End::Vanish => {
                self.story.count(|counts| counts.vanished += 1);
                mine.is_over = true;
                // Killed, or silent with its connections open.
                if fastrand::bool() {
                    self.calls.iter_mut().for_each(|calls| *calls = None);
                }
            }
        }
    }

    /// The token of a lock that this session must have.
    fn token(&self, found: Option<&Locked>, mine: &Mine, who: &str) -> Option<u64> {
        let is_mine = |locked: &&Locked| locked.session.as_deref() == Some(mine.id.as_str());
        if let Some(locked) = found.filter(is_mine) {
            return Some(locked.lock_index);
        }
        self.lost(mine, format!("{who} says {found:?} of a lock that it holds"));
        None
    }

    /// Somebody said what cannot be while its session is there.
    fn lost(&self, mine: &Mine, what: String) {
        self.story.ended(&mine.id, &mine.life, what);
    }

    /// Whoever asks another node for what is true now has to be told of this holder.
    async fn look_elsewhere(&mut self, lock: usize, node: usize, mine: &mut Mine) {
        let other = (node + 1) % self.calls.len();
        let found = self.ask_at(other, async |calls: &mut Calls| calls.look(lock, true).await).await;
        if let Some(found) = found {
            self.story.count(|counts| counts.looks += 1);
            mine.is_over |= self.token(found.as_ref(), mine, "another node").is_none();
        }
    }

    /// Renews the session when a third of its time is over; one without a time as often, to hear whether it is there.
    async fn keep(&mut self, mine: &mut Mine) {
        let asked = self.story.now();
        if mine.is_over || asked < mine.life.since + TTL / 3 {
            return;
        }
        let id = mine.id.clone();
        match self.ask(async |calls: &mut Calls| calls.renew(&id).await).await {
            Some(true) => {
                self.story.count(|counts| counts.renewals += 1);
                mine.life.since = asked;
            }
            Some(false) => {
                self.lost(mine, "a renewal says so".to_owned());
                mine.is_over = true;
            }
            // Another node is asked the next time.
            None => mine.is_over |= mine.is_out_of_time(self.story.now()),
        }
    }

    async fn give_up(&mut self, mine: &mut Mine) {
        mine.is_over = true;
        let id = mine.id.clone();
        let nodes = self.calls.len();
        // One with a time ends by itself if nobody hears it; any other has to be ended, by whoever can be reached.
        let tries = if mine.is_timed() { nodes } else { usize::MAX };
        for number in 0..tries {
            let node = if mine.is_timed() { self.any() } else { number % nodes };
            let heard = self.ask_at(node, async |calls: &mut Calls| calls.end(&id).await).await;
            if heard.is_some() || !self.story.goes_on() {
                return;
            }
        }
    }

    fn write_under_an_old_token(&mut self) {
        if fastrand::u8(..8) == 0
            && let Some((lock, token)) = self.old.get(fastrand::usize(..OLD)).copied()
            && !self.story.write(lock, token)
        {
            self.story.count(|counts| counts.fenced += 1);
        }
    }

    fn remember(&mut self, lock: usize, token: u64) {
        if self.old.len() == OLD {
            self.old.remove(0);
        }
        self.old.push((lock, token));
    }

    /// The node to ask: for those who have a choice, one that answers as far as is known.
    fn any(&self) -> usize {
        if let Habit::Loyal(node) | Habit::Sitter { node, .. } = self.habit {
            return node;
        }
        let now = self.story.now();
        let well: Vec<usize> = (0..self.calls.len()).filter(|node| self.shunned[*node] <= now).collect();
        fastrand::choice(well).unwrap_or_else(|| fastrand::usize(..self.calls.len()))
    }

    /// Asks any node; none if there was no answer to rely on.
    async fn ask<T>(&mut self, what: impl AsyncFnOnce(&mut Calls) -> Result<T>) -> Option<T> {
        self.ask_at(self.any(), what).await
    }

    async fn ask_at<T>(&mut self, node: usize, what: impl AsyncFnOnce(&mut Calls) -> Result<T>) -> Option<T> {
        let state = &self.nodes.states[node];
        let slot = &mut self.calls[node];
        if slot.as_ref().is_none_or(|calls| !calls.is_of(state)) {
            *slot = Calls::to(state).ok();
        }
        let asked = match slot {
            Some(calls) => what(calls).await.ok(),
            None => None,
        };
        if asked.is_none() {
            self.story.count(|counts| counts.unanswered += 1);
            self.shunned[node] = self.story.now() + SHUN;
            tokio::time::sleep(REST).await;
        }
        asked
    }
}
