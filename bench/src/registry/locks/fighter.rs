//! One client: it begins a session, takes locks, writes under their tokens, and gives them back, or does not.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use trellis_testkit::Hold;

use super::super::nodes::cluster::State;
use super::calls::{Calls, Locked, TTL};
use super::story::Story;

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
pub(super) enum Kind {
    /// All in turn; most holds are short.
    Rover,
    /// One only, as those do that have an agent beside them.
    Loyal(usize),
    /// One only, and it holds as long as it can.
    Sitter(usize),
}

pub(super) struct Fighter {
    kind: Kind,
    nodes: Vec<Arc<State>>,
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
    /// When it asked for what was acknowledged last; the session lasts from then on, at least.
    since: Duration,
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
    /// Up to when it is there for sure.
    fn lasts_until(&self) -> Duration {
        self.since + TTL
    }
}

impl Fighter {
    pub(super) fn new(kind: Kind, nodes: Vec<Arc<State>>, story: Arc<Story>, lock_delay: Duration) -> Self {
        let (calls, shunned) = nodes.iter().map(|_| (None, Duration::ZERO)).unzip();
        Self { kind, nodes, story, lock_delay, calls, shunned, old: Vec::new() }
    }

    /// Fights until the story is over.
    pub(super) async fn fight(mut self) {
        while self.story.goes_on() {
            let asked = self.story.now();
            let delay = self.lock_delay;
            let Some(id) = self.ask(async |calls: &mut Calls| calls.begin(delay).await).await else {
                continue;
            };
            self.story.count(|counts| counts.sessions += 1);
            let mut mine = Mine { id, since: asked, is_over: false };
            for _ in 0..HOLDS {
                if mine.is_over || !self.story.goes_on() {
                    break;
                }
                self.keep(&mut mine).await;
                self.take(&mut mine).await;
            }
        }
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
        let (rounds, breath) = match self.kind {
            Kind::Sitter(_) => (1_000, BREATH * 20),
            _ if fastrand::u8(..48) == 0 => (fastrand::usize(100..1500), BREATH),
            _ => (fastrand::usize(1..6), BREATH),
        };
        for _ in 0..rounds {
            if mine.is_over || self.story.now() >= mine.lasts_until() || !self.story.goes_on() {
                break;
            }
            if self.story.write(lock, hold.token) {
                self.story.count(|counts| counts.writes += 1);
            }
            if fastrand::u8(..16) == 0 {
                self.look_elsewhere(lock, node, mine).await;
            }
            self.write_under_an_old_token();
            tokio::time::sleep(breath).await;
            self.keep(mine).await;
        }
        let end = match fastrand::u8(..128) {
            0 => End::Vanish,
            1..6 => End::Destroy,
            _ => End::Release,
        };
        let at = self.story.now();
        let life = mine.lasts_until() + self.lock_delay;
        hold.until = match end {
            End::Release => at.min(life),
            End::Destroy => (at + self.lock_delay).min(life),
            End::Vanish => life,
        };
        self.remember(lock, hold.token);
        let (id, held_until) = (hold.session.clone(), hold.until);
        // Before the request that ends it: nobody can be faster.
        self.story.held(lock, hold);
        match end {
            End::Release => {
                let released = self.ask(async |calls: &mut Calls| calls.release(lock, &id).await).await;
                if released == Some(false) && self.story.now() < mine.lasts_until() {
                    self.story.violated(format!(
                        "lock {lock}: {id} held it until {held_until:?}, and could not release it"
                    ));
                }
                if released.is_none() {
                    self.give_up(mine).await;
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
        if self.story.now() < mine.lasts_until() {
            self.story.violated(format!("{who} says {found:?} of what {} holds", mine.id));
        }
        None
    }

    /// Whoever asks another node for what is true now has to be told of this holder.
    async fn look_elsewhere(&mut self, lock: usize, node: usize, mine: &mut Mine) {
        let other = (node + 1) % self.nodes.len();
        let found = self.ask_at(other, async |calls: &mut Calls| calls.look(lock, true).await).await;
        if let Some(found) = found {
            self.story.count(|counts| counts.looks += 1);
            mine.is_over |= self.token(found.as_ref(), mine, "another node").is_none();
        }
    }

    /// Renews the session when a third of its time is over.
    async fn keep(&mut self, mine: &mut Mine) {
        let asked = self.story.now();
        if mine.is_over || asked < mine.since + TTL / 3 {
            return;
        }
        let id = mine.id.clone();
        match self.ask(async |calls: &mut Calls| calls.renew(&id).await).await {
            Some(true) => {
                self.story.count(|counts| counts.renewals += 1);
                mine.since = asked;
            }
            Some(false) => {
                if self.story.now() < mine.lasts_until() {
                    self.story.violated(format!("the session {id} ended before its time"));
                }
                mine.is_over = true;
            }
            // Another node is asked the next time. Once its time is over nothing can be known.
            None => mine.is_over |= self.story.now() >= mine.lasts_until(),
        }
    }

    async fn give_up(&mut self, mine: &mut Mine) {
        mine.is_over = true;
        let id = mine.id.clone();
        for _ in 0..self.nodes.len() {
            if self.ask(async |calls: &mut Calls| calls.end(&id).await).await.is_some() {
                return;
            }
        }
        // Nobody heard it: the session ends by itself.
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
        if let Kind::Loyal(node) | Kind::Sitter(node) = self.kind {
            return node;
        }
        let now = self.story.now();
        let well: Vec<usize> = (0..self.nodes.len()).filter(|node| self.shunned[*node] <= now).collect();
        fastrand::choice(well).unwrap_or_else(|| fastrand::usize(..self.nodes.len()))
    }

    /// Asks any node; none if there was no answer to rely on.
    async fn ask<T>(&mut self, what: impl AsyncFnOnce(&mut Calls) -> Result<T>) -> Option<T> {
        self.ask_at(self.any(), what).await
    }

    async fn ask_at<T>(&mut self, node: usize, what: impl AsyncFnOnce(&mut Calls) -> Result<T>) -> Option<T> {
        let state = &self.nodes[node];
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
