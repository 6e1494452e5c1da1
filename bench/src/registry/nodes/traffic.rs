//! The load on the nodes, and what its clients remember.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::task::JoinSet;

use super::super::act::{Act, COPIES, Instance, Key, Service};
use super::super::caller::Caller;
use super::cluster::State;
use super::{Options, Probe};

/// Services that are there from the start and asked for, ten instances each.
const SERVICES: u32 = 20;
/// Services that instances are added to.
const GROWING: u32 = 20;
/// New instances are numbered from here, and each client has so many numbers.
const FIRST_NEW: u64 = 100_000;
const NUMBERS: u64 = 100_000;
/// Wait of a client whose node did not answer before it asks the next one.
const BREATH: Duration = Duration::from_millis(10);

/// What the clients saw.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Right answers to who serves.
    pub discoveries: u64,
    /// Wrong answers, or none, from a node that had not been killed.
    pub failed_discoveries: u64,
    /// The same from a node that was killed meanwhile.
    pub cut_off_discoveries: u64,
    /// Registrations that were acknowledged.
    pub registrations: u64,
    /// Configuration writes that were acknowledged.
    pub writes: u64,
    /// Either, refused or unanswered by a node that had not been killed, and tried again.
    pub repeated: u64,
    /// Heartbeats that were heard.
    pub beats: u64,
    /// Heartbeats of registered instances, refused or unanswered by a node that had not been killed.
    pub failed_beats: u64,
}

/// Everything a node said yes to.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    pub(super) instances: Vec<Instance>,
    /// The last acknowledged version of each key.
    pub(super) keys: BTreeMap<u32, u64>,
}

/// All of it together.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) counts: Counts,
    pub(super) acknowledged: Acknowledged,
    pub(super) reasons: BTreeSet<String>,
}

/// Clients at work.
pub(super) struct Traffic {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    tasks: JoinSet<()>,
}

/// What every client has at hand.
#[derive(Clone)]
struct Client {
    nodes: Vec<Arc<State>>,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    think: Duration,
}

/// Tells one node what is asked for later.
pub(super) async fn prepare(node: Arc<State>) -> Result<()> {
    let mut caller = Caller::ours(node.address);
    for service in (0..SERVICES).map(Service) {
        for number in 0..COPIES {
            caller.call(Act::Register(service.copy(number))).await?;
        }
    }
    Ok(())
}

/// Right once a node knows all that was told by [`prepare`].
pub(super) fn known() -> Probe {
    Act::Discover(Service(SERVICES - 1))
}

impl Traffic {
    pub(super) fn start(options: &Options, nodes: Vec<Arc<State>>) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let mut tasks = JoinSet::new();
        let client = Client { nodes, seen: Arc::clone(&seen), stop: Arc::clone(&stop), think: options.think };
        for number in 0..options.clients {
            for node in 0..client.nodes.len() {
                tasks.spawn(client.clone().discover(node));
            }
            tasks.spawn(client.clone().register(number));
            tasks.spawn(client.clone().write(number));
            tasks.spawn(client.clone().renew(number));
        }
        Self { stop, seen, tasks }
    }

    /// Lets every client finish what it is at; what they saw.
    pub(super) async fn stop(mut self) -> Result<Seen> {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(done) = self.tasks.join_next().await {
            done.context("a client failed")?;
        }
        Ok(std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Client {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    fn note(&self, what: impl FnOnce(&mut Seen)) {
        what(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Asks one node, and tells whether it was killed meanwhile if it did not answer well.
    async fn ask(&self, callers: &mut [Caller], node: usize, act: Act) -> Result<(), Failed> {
        let before = self.nodes[node].turn();
        let Err(error) = callers[node].call(act).await else { return Ok(()) };
        let was_killed = before % 2 == 1 || self.nodes[node].turn() != before;
        if !was_killed {
            self.note(|seen| {
                // One of each kind, so that there is an end to them.
                let kind = format!("{act:?}").split('(').next().unwrap_or_default().to_owned();
                if seen.reasons.iter().filter(|reason| reason.starts_with(&kind)).count() < 3 {
                    seen.reasons.insert(format!("{kind} at node {}: {error:#}", node + 1));
                }
            });
        }
        tokio::time::sleep(BREATH).await;
        Err(Failed { was_killed })
    }

    fn callers(&self) -> Vec<Caller> {
        self.nodes.iter().map(|node| Caller::ours(node.address)).collect()
    }

    /// Asks one node who serves, whether it is there or not.
    async fn discover(self, node: usize) {
        let mut callers = self.callers();
        while self.goes_on() {
            let act = Act::Discover(Service(fastrand::u32(..SERVICES)));
            let answered = self.ask(&mut callers, node, act).await;
            self.note(|seen| match answered {
                Ok(()) => seen.counts.discoveries += 1,
                Err(Failed { was_killed: true }) => seen.counts.cut_off_discoveries += 1,
                Err(Failed { was_killed: false }) => seen.counts.failed_discoveries += 1,
            });
            tokio::time::sleep(self.think).await;
        }
    }

    /// Has `act` acknowledged by whoever does it: the nodes are asked in turn. False if it was told to stop before.
    async fn insist(&self, callers: &mut [Caller], first: usize, act: Act) -> bool {
        let mut node = first;
        while self.goes_on() {
            node = (node + 1) % self.nodes.len();
            match self.ask(callers, node, act).await {
                Ok(()) => return true,
                Err(Failed { was_killed }) => {
                    self.note(|seen| seen.counts.repeated += u64::from(!was_killed));
                }
            }
        }
        false
    }

    async fn register(self, number: usize) {
        let mut callers = self.callers();
        for count in 0..NUMBERS {
            let service = Service(SERVICES + (count % u64::from(GROWING)) as u32);
            let instance = Instance::new(service, FIRST_NEW + number as u64 * NUMBERS + count);
            if !self.insist(&mut callers, count as usize, Act::Register(instance)).await {
                return;
            }
            self.note(|seen| {
                seen.counts.registrations += 1;
                seen.acknowledged.instances.push(instance);
            });
            tokio::time::sleep(self.think).await;
        }
    }

    /// Writes one key over and over; it is nobody else's.
    async fn write(self, number: usize) {
        let (mut callers, key) = (self.callers(), number as u32);
        for version in 1.. {
            if !self.insist(&mut callers, version as usize, Act::Write(Key(key), version)).await {
                return;
            }
            self.note(|seen| {
                seen.counts.writes += 1;
                seen.acknowledged.keys.insert(key, version);
            });
            tokio::time::sleep(self.think).await;
        }
    }

    async fn renew(self, number: usize) {
        let (mut callers, mut node) = (self.callers(), number);
        while self.goes_on() {
            node = (node + 1) % self.nodes.len();
            let instance = Service(fastrand::u32(..SERVICES)).copy(fastrand::u64(..COPIES));
            let answered = self.ask(&mut callers, node, Act::Renew(instance)).await;
            self.note(|seen| match answered {
                Ok(()) => seen.counts.beats += 1,
                Err(failed) => seen.counts.failed_beats += u64::from(!failed.was_killed),
            });
            tokio::time::sleep(self.think).await;
        }
    }
}

/// No good answer.
struct Failed {
    was_killed: bool,
}
