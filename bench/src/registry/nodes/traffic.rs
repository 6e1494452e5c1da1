//! The load on the nodes, and what its clients remember.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::task::JoinSet;

use super::super::act::{Act, COPIES, Instance, Key, Service};
use super::super::caller::{Caller, Way};
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
    /// The same by the way that was asked.
    pub discoveries_by: BTreeMap<&'static str, u64>,
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
    /// The last acknowledged version of each key of the configuration, and of each stored over the door for Consul.
    pub(super) keys: BTreeMap<(Way, u32), u64>,
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

/// Clients of all nodes, in one way.
struct Callers {
    way: Way,
    /// By node; each with where it was when it was made.
    made: Vec<Option<(SocketAddr, Caller)>>,
}

/// Tells one node what is asked for later.
pub(super) async fn prepare(node: Arc<State>) -> Result<()> {
    let mut caller = node.caller(Way::Native)?;
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
            let way = in_turn(&Way::ALL, number);
            for node in 0..client.nodes.len() {
                tasks.spawn(client.clone().discover(way, node));
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
    async fn ask(&self, callers: &mut Callers, node: usize, act: Act) -> Result<(), Failed> {
        let state = &self.nodes[node];
        let before = state.turn();
        let asked = async { callers.of(state, node)?.call(act).await };
        let Err(error) = asked.await else { return Ok(()) };
        let was_killed = before % 2 == 1 || state.turn() != before;
        if !was_killed {
            self.note(|seen| {
                // One of each kind, so that there is an end to them.
                let kind = format!("{act:?}").split('(').next().unwrap_or_default().to_owned();
                if seen.reasons.iter().filter(|reason| reason.starts_with(&kind)).count() < 3 {
                    let way = callers.way.name();
                    seen.reasons.insert(format!("{kind} by {way} at node {}: {error:#}", node + 1));
                }
            });
        }
        tokio::time::sleep(BREATH).await;
        Err(Failed { was_killed })
    }

    fn callers(&self, way: Way) -> Callers {
        Callers { way, made: self.nodes.iter().map(|_| None).collect() }
    }

    /// Asks one node who serves, whether it is there or not.
    async fn discover(self, way: Way, node: usize) {
        let mut callers = self.callers(way);
        while self.goes_on() {
            let act = Act::Discover(Service(fastrand::u32(..SERVICES)));
            let answered = self.ask(&mut callers, node, act).await;
            self.note(|seen| match answered {
                Ok(()) => {
                    seen.counts.discoveries += 1;
                    *seen.counts.discoveries_by.entry(way.name()).or_default() += 1;
                }
                Err(Failed { was_killed: true }) => seen.counts.cut_off_discoveries += 1,
                Err(Failed { was_killed: false }) => seen.counts.failed_discoveries += 1,
            });
            tokio::time::sleep(self.think).await;
        }
    }

    /// Has `act` acknowledged by whoever does it: the nodes are asked in turn. False if it was told to stop before.
    async fn insist(&self, callers: &mut Callers, first: usize, act: Act) -> bool {
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
        let mut callers = self.callers(in_turn(&[Way::Native, Way::Consul, Way::Eureka], number));
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
        let way = in_turn(&[Way::Native, Way::Consul], number);
        let (mut callers, key) = (self.callers(way), number as u32);
        for version in 1.. {
            if !self.insist(&mut callers, version as usize, Act::Write(Key(key), version)).await {
                return;
            }
            self.note(|seen| {
                seen.counts.writes += 1;
                seen.acknowledged.keys.insert((way, key), version);
            });
            tokio::time::sleep(self.think).await;
        }
    }

    async fn renew(self, number: usize) {
        let (mut callers, mut node) = (self.callers(Way::Native), number);
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

impl Callers {
    /// The client of a node, made anew if that is elsewhere by now.
    fn of(&mut self, state: &State, node: usize) -> Result<&mut Caller> {
        let (address, slot) = (state.address(self.way)?, &mut self.made[node]);
        if slot.as_ref().is_none_or(|(at, _)| *at != address) {
            *slot = None;
        }
        Ok(&mut slot.get_or_insert_with(|| (address, Caller::ours(self.way, address))).1)
    }
}

fn in_turn(ways: &[Way], number: usize) -> Way {
    ways[number % ways.len()]
}

/// No good answer.
struct Failed {
    was_killed: bool,
}
