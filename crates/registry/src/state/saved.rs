//! What is written down of instances and nodes, and how they come back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use trellis_core::Status;

use super::record::Phase;
use super::register::with_ids;
use super::{Now, State};
use crate::error::Result;
use crate::model::check::{CheckDefinition, CheckStatus, CheckView};
use crate::model::names::{CheckKey, CheckOwner, InstanceKey, Name};
use crate::model::node::{Node, NodeRegistration};
use crate::policy::judge::Judge;
use crate::registration::Registration;

/// Something whose row says other things than memory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dirty {
    Instance(InstanceKey),
    Node(Name),
}

/// An instance as it is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedInstance {
    pub(crate) registration: Registration,
    /// Checks that were put on it later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) more: Vec<CheckDefinition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) maintenance: Option<Arc<str>>,
    pub(crate) since_unix_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) said: Option<Status>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) expired: bool,
    /// What its checks said last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) checks: Vec<SavedCheck>,
}

/// A node as it is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedNode {
    pub(crate) registration: NodeRegistration,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) more: Vec<CheckDefinition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) maintenance: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) checks: Vec<SavedCheck>,
}

/// What a check said last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedCheck {
    pub(crate) id: Arc<str>,
    pub(crate) status: CheckStatus,
    pub(crate) output: Arc<str>,
}

impl State {
    /// What a registration's row will say.
    pub(crate) fn plan(&self, registration: &Registration, now: Now) -> SavedInstance {
        let known = self.save(&self.key_of(registration));
        let mut saved = SavedInstance {
            registration: registration.clone(),
            more: Vec::new(),
            maintenance: None,
            since_unix_ms: now.unix_ms,
            said: None,
            expired: false,
            checks: Vec::new(),
        };
        saved.registration.checks = with_ids(registration);
        if let Some(known) = known {
            if registration.keep_checks {
                saved.more = known.more;
            }
            saved.maintenance = known.maintenance;
            saved.since_unix_ms = known.since_unix_ms;
            saved.checks = known.checks;
        }
        saved
    }

    /// What is to be written down of an instance, if anything is.
    pub(crate) fn save(&self, key: &InstanceKey) -> Option<SavedInstance> {
        let record = self.records.get(self.slot(key)?)?;
        let view = &record.view;
        let known = view.definition.clone();
        let (own, more) = self.definitions(&record.checks);
        let registration = Registration {
            namespace: key.namespace.clone(),
            // Others that read it have another own node.
            node: (self.is_shared || key.node != self.own).then(|| key.node.clone()),
            id: key.id.clone(),
            service: known.service.clone(),
            host: known.host.clone(),
            port: known.port,
            tags: known.tags.clone(),
            metadata: known.metadata.clone(),
            weights: known.weights,
            zone: known.zone.clone(),
            version: known.version.clone(),
            tagged_addresses: known.tagged_addresses.clone(),
            enable_tag_override: known.enable_tag_override,
            status: record.said,
            lease: known.lease,
            checks: own,
            keep_checks: false,
        };
        record.durable.then(|| SavedInstance {
            registration,
            more,
            maintenance: view.maintenance.clone(),
            since_unix_ms: view.registered_unix_ms,
            said: None,
            expired: record.phase == Phase::Expired,
            checks: said(&view.checks),
        })
    }

    /// What is to be written down of a node. Of the platform's own, too: it may have been given labels and checks.
    pub(crate) fn save_node(&self, name: &Name) -> Option<SavedNode> {
        let entry = self.nodes.get(name)?;
        let (own, mut more) = self.definitions(&entry.checks);
        if self.is_shared && *name == self.own {
            // The others do not know by themselves that a platform is there.
            more.extend(own);
        }
        Some(SavedNode {
            registration: NodeRegistration::clone(&entry.view.definition),
            more,
            maintenance: entry.view.maintenance.clone(),
            checks: said(&entry.view.checks),
        })
    }

    /// The definitions of checks: those that came with the registration, and the others.
    fn definitions(&self, slots: &[u32]) -> (Vec<CheckDefinition>, Vec<CheckDefinition>) {
        let known = slots.iter().filter_map(|slot| self.checks.get(*slot));
        let (own, more): (Vec<_>, Vec<_>) = known.partition(|check| check.registered);
        let definitions = |list: Vec<&super::CheckRecord>| {
            list.into_iter().map(|check| check.definition().clone()).collect()
        };
        (definitions(own), definitions(more))
    }

    /// What comes from now on was there before: nobody is told of it as a change.
    pub(crate) fn begin_load(&mut self) {
        self.loads = true;
    }

    /// Ends [`Self::begin_load`].
    pub(crate) fn end_load(&mut self, now: Now) {
        self.loads = false;
        (self.log_from, self.log_from_ms) = (self.index, now.unix_ms);
    }

    /// Takes an instance back from its row, with a fresh lease and what it last said.
    pub(crate) fn restore(&mut self, saved: SavedInstance, now: Now) -> Result<super::Changed> {
        let SavedInstance { registration, more, maintenance, since_unix_ms, said, expired, checks } = saved;
        let key = self.key_of(&registration);
        let mut changed = self.register(&registration, true, now)?;
        let Some(slot) = self.slot(&key) else { return Ok(changed) };
        let plain =
            more.is_empty() && maintenance.is_none() && said.is_none() && !expired && checks.is_empty();
        if let Some(record) = self.records.get_mut(slot) {
            // Nobody else has it yet.
            let view = Arc::make_mut(&mut record.view);
            (view.registered_unix_ms, view.maintenance) = (since_unix_ms, maintenance);
            record.said = said.unwrap_or(record.said);
            if expired && record.is_leased() {
                record.phase = Phase::Expired;
            }
        }
        if !plain {
            let mut delta = super::Changed::default();
            let owner = CheckOwner::Instance(key);
            self.restore_checks(&owner, more, checks, now, &mut delta);
            self.aliases.touch(|| owner);
            self.settle(slot, false, now, &mut delta);
            let more = self.finish(delta, now);
            if more.index > 0 {
                changed = more;
            }
        }
        self.dirty.clear();
        Ok(changed)
    }

    /// Takes a node back from its row.
    pub(crate) fn restore_node(&mut self, saved: SavedNode, now: Now) -> Result<()> {
        let name = saved.registration.name.clone();
        self.put_node(saved.registration, now)?;
        let mut delta = super::Changed::default();
        if let Some(entry) = self.nodes.get_mut(&name) {
            entry.view = Arc::new(Node { maintenance: saved.maintenance, ..Node::clone(&entry.view) });
        }
        let owner = CheckOwner::Node(name.clone());
        self.restore_checks(&owner, saved.more, saved.checks, now, &mut delta);
        self.aliases.touch(|| owner);
        self.settle_node(&name, false, now, &mut delta);
        self.finish(delta, now);
        self.dirty.clear();
        Ok(())
    }

    pub(super) fn restore_checks(
        &mut self,
        owner: &CheckOwner,
        more: Vec<CheckDefinition>,
        said: Vec<SavedCheck>,
        now: Now,
        delta: &mut super::Changed,
    ) {
        // What says that the platform is there says so by itself.
        let key_of = |id| CheckKey { owner: owner.clone(), id };
        for definition in more {
            if self.may_touch(&key_of(definition.id.clone())).is_ok() {
                self.set_check(owner, definition, false, now, delta);
            }
        }
        for last in said {
            let key = key_of(last.id);
            let Some(slot) = self.check_slot(&key) else { continue };
            if self.may_touch(&key).is_err() {
                continue;
            }
            let Some(check) = self.checks.get_mut(slot).filter(|check| !check.definition().is_alias()) else {
                continue;
            };
            check.judge = Judge::new(last.status);
            self.say(slot, &last.output, now, delta);
            self.watch_ttl(slot, now);
        }
    }
}

/// What an alias says is what others say: whoever reads the row sees for himself.
fn said(checks: &[Arc<CheckView>]) -> Vec<SavedCheck> {
    let saved = |check: &Arc<CheckView>| SavedCheck {
        id: check.key.id.clone(),
        status: check.status,
        output: check.output.clone(),
    };
    checks.iter().filter(|check| !check.definition.is_alias()).map(saved).collect()
}
