//! The rules of the registry, pure: what is registered, what it means, and what a step changed.
//!
//! Time and chance come in as parameters; nothing here waits, wakes or writes. Liveness, checks and the operator's
//! overrides are kept apart: a status that counts is worked out from all of them whenever one changes (`settle`).

mod aliases;
mod checks;
mod delta;
mod deregister;
mod holding;
mod intern;
mod leases;
mod nodes;
mod overrides;
mod places;
mod read;
mod recent;
mod record;
mod register;
mod saved;
mod services;
mod settle;
mod slab;
mod taking;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use hashbrown::HashTable;
use tokio::time::Instant;

use aliases::Aliases;
pub(crate) use checks::Probe;
pub(crate) use delta::Changed;
pub(crate) use holding::Standing;
use intern::Intern;
pub(crate) use leases::{Expiry, Intent};
pub(crate) use overrides::{About, Override, Overrides};
use places::Places;
use record::{CheckRecord, Due, NodeEntry, Record, ServiceEntry};
pub(crate) use saved::{Dirty, SavedInstance, SavedNode};
use slab::Slab;

use crate::model::names::{InstanceKey, Name, Namespace, ServiceKey};
use crate::model::snapshot::{Catalog, Change, ChangeKind, Nodes};
use crate::options::Options;

/// One moment on both clocks, and a throw of the dice: leases run on the clock that never jumps, people read the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) unix_ms: i64,
    /// Between 0 and 1.
    pub(crate) random: f64,
}

/// Who asks for an instance to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The platform itself.
    Platform,
    /// Someone outside, who may not touch what the platform runs.
    Outside,
}

pub(crate) struct State {
    options: Options,
    own: Name,
    records: Slab<Record>,
    /// Places of instances by their keys.
    by_key: HashTable<u32>,
    hasher: ahash::RandomState,
    /// Those that have instances, and those that are watched.
    services: HashMap<ServiceKey, ServiceEntry, ahash::RandomState>,
    /// How many services have instances.
    peopled: usize,
    nodes: BTreeMap<Name, NodeEntry>,
    checks: Slab<CheckRecord>,
    aliases: Aliases,
    /// One entry for each instance and check that has a deadline, at most so late as that.
    deadlines: BTreeSet<(Instant, Due)>,
    /// One entry for each active check that waits for its turn.
    probes: BTreeSet<(Instant, u32)>,
    /// Critical checks that remove their instance if they stay so.
    fatal: BTreeSet<u32>,
    generation: u64,
    overrides: Overrides,
    /// The last index given out. One counter for everything: what is forgotten and comes back never repeats a number
    /// that stood for something else.
    index: u64,
    /// When something with an index of its own last went: the index of all that is unknown.
    gone: u64,
    catalogs: BTreeMap<Namespace, (u64, Option<Arc<Catalog>>)>,
    nodes_index: u64,
    nodes_snapshot: Option<Arc<Nodes>>,
    /// Of the checks that are passing, warning, critical.
    by_status: [u64; 3],
    /// The last changes of instances.
    log: VecDeque<Change>,
    /// Of what is taken in there is no log.
    loads: bool,
    /// The log has every change after this index.
    log_from: u64,
    /// When the last change before that may have been, in Unix milliseconds.
    log_from_ms: i64,
    intern: Intern,
    /// What its row in the store does not say yet.
    dirty: BTreeSet<Dirty>,
    /// Where rows are, if nobody shares the store.
    places: Places,
    /// Of these, those that this member takes over from another when it writes them.
    wanted: BTreeSet<Dirty>,
    /// Rows of instances that the platform took out of memory, and their revisions.
    buried: BTreeMap<InstanceKey, u64>,
    /// Who this is among the members that share the store; empty if nobody shares it.
    me: Arc<str>,
    is_shared: bool,
    protections: u64,
}

impl State {
    /// `index` is where counting starts; take one above all that earlier runs gave out.
    pub(crate) fn new(options: &Options, overrides: Overrides, index: u64, now: Now) -> Self {
        let index = index.max(1);
        let mut state = Self {
            options: options.clone(),
            own: options.node.name.clone(),
            records: Slab::default(),
            by_key: HashTable::new(),
            hasher: ahash::RandomState::new(),
            services: HashMap::default(),
            peopled: 0,
            nodes: BTreeMap::new(),
            checks: Slab::default(),
            aliases: Aliases::default(),
            deadlines: BTreeSet::new(),
            probes: BTreeSet::new(),
            fatal: BTreeSet::new(),
            generation: 0,
            overrides,
            // The own node is there from the first index on.
            index: index - 1,
            gone: index,
            catalogs: BTreeMap::new(),
            nodes_index: index,
            nodes_snapshot: None,
            by_status: [index; 3],
            log: VecDeque::new(),
            loads: false,
            log_from: index,
            log_from_ms: now.unix_ms,
            intern: Intern::default(),
            dirty: BTreeSet::new(),
            places: Places::default(),
            wanted: BTreeSet::new(),
            buried: BTreeMap::new(),
            me: Arc::default(),
            is_shared: false,
            protections: 0,
        };
        state.put_own_node(now);
        state.index = index;
        state
    }

    /// The index that the step under way will have if it changes anything.
    fn next(&self) -> u64 {
        self.index + 1
    }

    fn slot(&self, key: &InstanceKey) -> Option<u32> {
        let is_it = |slot: &u32| self.records.get(*slot).is_some_and(|record| record.key() == key);
        self.by_key.find(self.hash(key), is_it).copied()
    }

    fn hash(&self, key: &InstanceKey) -> u64 {
        hash(&self.hasher, key)
    }

    pub(crate) fn own(&self) -> &Name {
        &self.own
    }

    /// Ends a step: gives everything that changed its new index.
    fn finish(&mut self, mut delta: Changed, now: Now) -> Changed {
        self.settle_aliases(now, &mut delta);
        if delta.is_empty() {
            return delta;
        }
        self.index += 1;
        let index = self.index;
        delta.index = index;
        for key in &delta.services {
            if let Some(entry) = self.services.get_mut(key) {
                entry.index = index;
                entry.snapshot = None;
            }
        }
        for key in &delta.endpoints {
            if let Some(entry) = self.services.get_mut(key) {
                entry.revision = index;
                entry.endpoints = None;
            }
        }
        for key in &delta.service_checks {
            if let Some(entry) = self.services.get_mut(key) {
                entry.checks_index = index;
            }
        }
        for namespace in &delta.catalogs {
            self.catalogs.insert(namespace.clone(), (index, None));
        }
        for name in &delta.nodes {
            if let Some(entry) = self.nodes.get_mut(name) {
                entry.index = index;
                entry.snapshot = None;
            }
        }
        for name in &delta.node_checks {
            if let Some(entry) = self.nodes.get_mut(name) {
                entry.checks_index = index;
            }
        }
        if delta.node_list {
            self.nodes_index = index;
            self.nodes_snapshot = None;
        }
        for (known, changed) in self.by_status.iter_mut().zip(delta.states) {
            if changed {
                *known = index;
            }
        }
        delta.agent = delta.nodes.contains(&self.own) || delta.node_checks.contains(&self.own);
        let services: Vec<_> = delta.services.iter().cloned().collect();
        for service in services {
            self.prune(&service, index);
        }
        delta
    }

    /// Puts a change of an instance down for those who follow them.
    fn note(&mut self, kind: ChangeKind, slot: u32, now: Now) {
        if self.loads {
            return;
        }
        let index = self.next();
        let Some(record) = self.records.get(slot) else { return };
        let instance = record.view.clone();
        self.log.push_back(Change { index, unix_ms: now.unix_ms, kind, instance });
        while self.log.len() > self.options.max_changes {
            if let Some(oldest) = self.log.pop_front() {
                (self.log_from, self.log_from_ms) = (oldest.index, oldest.unix_ms);
            }
        }
    }

    /// Lets go of a service that nobody is in and nobody watches.
    fn prune(&mut self, service: &ServiceKey, index: u64) {
        if self.services.get(service).is_some_and(|entry| entry.members.is_empty() && !entry.watched) {
            self.services.remove(service);
            self.gone = index;
        }
    }

    /// What differs from its row in the store; at most `most`.
    pub(crate) fn take_dirty(&mut self, most: usize) -> Vec<Dirty> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(one) = self.dirty.pop_first()
        {
            taken.push(one);
        }
        taken
    }

    /// Takes back [`Self::take_dirty`].
    pub(crate) fn put_dirty(&mut self, taken: Vec<Dirty>) {
        self.dirty.extend(taken);
    }

    pub(crate) fn is_dirty(&self, what: &Dirty) -> bool {
        self.dirty.contains(what)
    }

    pub(crate) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// When leases or TTL checks next have to be looked at; possibly somewhat before one ends.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// When the next active check is due.
    pub(crate) fn next_probe(&self) -> Option<Instant> {
        self.probes.first().map(|(due, _)| *due)
    }
}

fn hash(hasher: &ahash::RandomState, key: &InstanceKey) -> u64 {
    let mut state = hasher.build_hasher();
    key.hash(&mut state);
    std::hash::Hasher::finish(&state)
}
