//! Who looks after what, where several members share a store.
//!
//! The *holder* of an instance counts its lease and asks its checks; the holder of a node asks the node's checks. All
//! others show what it writes down. Who shares nothing holds everything.

use std::sync::Arc;

use super::record::{Due, Phase};
use super::{Changed, Dirty, Now, State};
use crate::model::check::{CheckKind, CheckStatus};
use crate::model::names::{CheckOwner, InstanceKey, Name};

/// Where a row stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Of its last change; 0 if there is no row.
    pub(crate) revision: u64,
    /// The member that looks after it.
    pub(crate) holder: Arc<str>,
}

/// Something whose holder is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Orphan {
    pub(crate) what: Dirty,
    pub(crate) holder: Arc<str>,
    /// Its holder ran it, so it is gone as well.
    pub(crate) managed: bool,
}

impl State {
    /// Others share the store; this member is called so. To be said before anything is registered.
    pub(crate) fn share(&mut self, me: &Arc<str>) {
        for entry in self.nodes.values_mut() {
            entry.holder = me.clone();
        }
        // One copy for all.
        self.me = self.intern.text(me);
        self.is_shared = true;
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    pub(crate) fn me(&self) -> &Arc<str> {
        &self.me
    }

    /// Where the row of something stands, as far as is known here.
    pub(crate) fn standing(&self, what: &Dirty) -> Standing {
        let known = match what {
            Dirty::Instance(key) => {
                let record = self.slot(key).and_then(|slot| self.records.get(slot));
                let gone = || Some((*self.buried.get(key)?, self.me.clone()));
                record.map(|record| (record.revision, record.holder.clone())).or_else(gone)
            }
            Dirty::Node(name) => self.nodes.get(name).map(|node| (node.revision, node.holder.clone())),
        };
        let (revision, holder) = known.unwrap_or_else(|| (0, self.me.clone()));
        Standing { revision, holder }
    }

    /// Its row was written, or read.
    pub(crate) fn stand(&mut self, what: &Dirty, standing: Standing, now: Now) {
        match what {
            Dirty::Instance(key) => {
                let Some(slot) = self.slot(key) else { return };
                let Some(record) = self.records.get_mut(slot) else { return };
                record.revision = standing.revision;
                if record.holder != standing.holder {
                    record.holder = standing.holder;
                    let phase = record.phase;
                    self.begin(slot, phase, now);
                    self.align(slot, now);
                }
            }
            Dirty::Node(name) => {
                let Some(entry) = self.nodes.get_mut(name) else { return };
                entry.revision = standing.revision;
                if entry.holder != standing.holder {
                    entry.holder = standing.holder;
                    let (checks, held) = (entry.checks.clone(), entry.holder == self.me);
                    self.align_checks(&checks, held, now);
                }
            }
        }
    }

    /// Whether this member looks after an instance; so it seems of one that is not there.
    pub(crate) fn holds_instance(&self, key: &InstanceKey) -> bool {
        self.slot(key).and_then(|slot| self.records.get(slot)).is_none_or(|record| record.holder == self.me)
    }

    pub(super) fn holds(&self, owner: &CheckOwner) -> bool {
        match owner {
            CheckOwner::Instance(key) => self.holds_instance(key),
            CheckOwner::Node(name) => self.nodes.get(name).is_none_or(|node| node.holder == self.me),
        }
    }

    pub(crate) fn holds_row(&self, what: &Dirty) -> bool {
        match what {
            Dirty::Instance(key) => self.holds_instance(key),
            Dirty::Node(name) => self.nodes.get(name).is_none_or(|node| node.holder == self.me),
        }
    }

    /// Somebody spoke to this member of what another looks after: it is taken over with the next writing down.
    pub(super) fn want(&mut self, what: Dirty) {
        if self.is_shared && !self.holds_row(&what) {
            self.dirty.insert(what.clone());
            self.wanted.insert(what);
        }
    }

    /// Whether what differs is to be written by this member.
    pub(crate) fn is_to_be_written(&self, what: &Dirty) -> bool {
        self.wanted.contains(what) || self.holds_row(what)
    }

    /// It was written.
    pub(crate) fn has_taken_over(&mut self, what: &Dirty) {
        self.wanted.remove(what);
    }

    /// Everything that none of the living looks after.
    pub(crate) fn orphans(&self, is_alive: impl Fn(&str) -> bool) -> Vec<Orphan> {
        let nodes = self.nodes.values().filter(|node| !is_alive(&node.holder)).map(|node| Orphan {
            what: Dirty::Node(node.name().clone()),
            holder: node.holder.clone(),
            managed: false,
        });
        let rows = self.records.iter().filter(|(_, record)| !is_alive(&record.holder));
        let instances = rows.map(|(_, record)| Orphan {
            what: Dirty::Instance(record.key().clone()),
            holder: record.holder.clone(),
            managed: record.is_managed(),
        });
        nodes.chain(instances).collect()
    }

    /// What the platform runs here.
    pub(crate) fn own_managed(&self) -> Vec<InstanceKey> {
        let own = self.records.iter().filter(|(_, record)| record.is_managed() && record.holder == self.me);
        own.map(|(_, record)| record.key().clone()).collect()
    }

    /// The rows of what the platform took out of memory are to go.
    pub(crate) fn bury(&mut self, key: &InstanceKey, revision: u64) {
        if revision > 0 {
            self.buried.insert(key.clone(), revision);
            self.dirty.insert(Dirty::Instance(key.clone()));
        }
    }

    pub(crate) fn unbury(&mut self, key: &InstanceKey) {
        self.buried.remove(key);
    }

    /// All leases that are counted here begin anew: for a while nobody could renew them, or end them.
    pub(crate) fn restart_leases(&mut self, now: Now) {
        let held: Vec<u32> = self
            .records
            .iter()
            .filter(|(_, record)| {
                record.is_leased() && record.holder == self.me && record.phase == Phase::Live
            })
            .map(|(slot, _)| slot)
            .collect();
        for slot in held {
            self.start_lease(slot, now);
        }
        let waiting: Vec<u32> =
            self.checks.iter().filter(|(_, c)| c.deadline.is_some()).map(|(n, _)| n).collect();
        for slot in waiting {
            self.restart_ttl(slot, now);
        }
    }

    /// It is written down that a lease has ended.
    pub(crate) fn end_written(&mut self, key: &InstanceKey, now: Now) -> Changed {
        let mut delta = Changed::default();
        let Some(slot) = self.slot(key) else { return delta };
        if self.is_over(key, now) {
            self.end(slot, Phase::Expired, now.instant + self.options.keep_expired, now, &mut delta);
        } else {
            // It was renewed in that instant; the row has to be told.
            self.dirty.insert(Dirty::Instance(key.clone()));
        }
        self.finish(delta, now)
    }

    /// It is written down that an instance is gone.
    pub(crate) fn purge_written(&mut self, key: &InstanceKey, over: bool, now: Now) -> Changed {
        let mut delta = Changed::default();
        let Some(slot) = self.slot(key) else { return delta };
        if over {
            self.take_out(slot, now, &mut delta);
        } else if let Some(record) = self.records.get_mut(slot) {
            record.revision = 0;
            self.dirty.insert(Dirty::Instance(key.clone()));
        }
        self.finish(delta, now)
    }

    /// Whether an instance's time is over: that of its lease, or that for which it is still shown.
    pub(crate) fn is_over(&self, key: &InstanceKey, now: Now) -> bool {
        let record = self.slot(key).and_then(|slot| self.records.get(slot));
        record.is_some_and(|record| {
            record.holder == self.me && record.deadline.is_some_and(|end| end <= now.instant)
        })
    }

    /// What is over could not be written down: it is looked at again at that moment, and holds until then.
    pub(crate) fn postpone(&mut self, key: &InstanceKey, until: tokio::time::Instant, now: Now) {
        let Some(slot) = self.slot(key) else { return };
        if !self.is_over(key, now) {
            return;
        }
        let Some(record) = self.records.get(slot) else { return };
        let (service, is_live) = (record.view.service(), record.phase == Phase::Live);
        if is_live
            && let Some(entry) = self.services.get_mut(&service)
            && let Some(protection) = &mut entry.protection
        {
            protection.came_back();
        }
        self.schedule(slot, Some(until));
    }

    /// Starts the time of an instance in this phase, if it is counted here.
    pub(super) fn begin(&mut self, slot: u32, phase: Phase, now: Now) {
        if phase != Phase::Expired {
            return self.start_lease(slot, now);
        }
        let keep = now.instant + self.options.keep_expired;
        let Some(record) = self.records.get_mut(slot) else { return };
        record.phase = Phase::Expired;
        let end = (record.holder == self.me && record.is_leased()).then_some(keep);
        self.schedule(slot, end);
    }

    /// Brings the times of an instance's checks in line with who looks after it.
    pub(super) fn align(&mut self, slot: u32, now: Now) {
        let Some(record) = self.records.get(slot) else { return };
        let (checks, held) = (record.checks.clone(), record.holder == self.me);
        self.align_checks(&checks, held, now);
    }

    fn align_checks(&mut self, checks: &[u32], held: bool, now: Now) {
        for slot in checks.iter().copied() {
            if held {
                self.watch_ttl(slot, now);
            }
            let Some(check) = self.checks.get_mut(slot) else { continue };
            if held {
                if check.view.definition.is_active() && check.next.is_none() {
                    // A question that is under way was asked before it was lost, and its answer counts no more.
                    self.generation += 1;
                    check.generation = self.generation;
                    let first = self.options.min_check_interval.min(check.view.definition.interval);
                    let next = now.instant + first.mul_f64(now.random.clamp(0.0, 1.0));
                    check.next = Some(next);
                    self.probes.insert((next, slot));
                }
                continue;
            }
            self.generation += 1;
            check.generation = self.generation;
            check.deadline = None;
            if let Some(at) = check.scheduled.take() {
                self.deadlines.remove(&(at, Due::Ttl(slot)));
            }
            if let Some(at) = check.next.take() {
                self.probes.remove(&(at, slot));
            }
        }
    }

    /// A TTL check that is not critical has to be reported within its time from now on.
    pub(super) fn watch_ttl(&mut self, slot: u32, now: Now) {
        let Some(check) = self.checks.get(slot) else { return };
        if check.view.status != CheckStatus::Critical && check.scheduled.is_none() {
            self.restart_ttl(slot, now);
        }
    }

    /// A TTL check has to be reported within its time from now on.
    pub(super) fn restart_ttl(&mut self, slot: u32, now: Now) {
        let Some(check) = self.checks.get(slot) else { return };
        let CheckKind::Ttl(ttl) = check.view.definition.kind else { return };
        if !self.holds(&check.view.key.owner) {
            return;
        }
        let Some(check) = self.checks.get_mut(slot) else { return };
        let end = now.instant + ttl;
        check.deadline = Some(end);
        // Left where it stands, unless it stands nowhere: it is looked at when that is due.
        if check.scheduled.is_none() {
            check.scheduled = Some(end);
            self.deadlines.insert((end, Due::Ttl(slot)));
        }
    }

    /// The names of all nodes, and the keys of all instances that have a row.
    pub(crate) fn written(&self) -> (Vec<Name>, Vec<InstanceKey>) {
        let nodes = self.nodes.values().filter(|node| node.revision > 0).map(|node| node.name().clone());
        let rows = self.records.iter().filter(|(_, record)| record.revision > 0);
        (nodes.collect(), rows.map(|(_, record)| record.key().clone()).collect())
    }
}
