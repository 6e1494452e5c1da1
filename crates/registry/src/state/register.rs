//! How instances come.

use std::sync::Arc;

use trellis_core::{InstanceId, Status};

use super::record::{Phase, Record};
use super::{Changed, Dirty, Now, State, hash};
use crate::error::Result;
use crate::model::check::CheckDefinition;
use crate::model::instance::{Definition, Instance};
use crate::model::names::{CheckOwner, InstanceKey, Name};
use crate::model::snapshot::ChangeKind;
use crate::registration::{Lease, Registration};

impl State {
    /// The key that a registration is about.
    pub(crate) fn key_of(&self, registration: &Registration) -> InstanceKey {
        InstanceKey {
            namespace: registration.namespace.clone(),
            node: registration.node.clone().unwrap_or_else(|| self.own.clone()),
            id: registration.id.clone(),
        }
    }

    /// Registers an instance, in place of one with the same key. `durable`: it has a row in the store by now.
    pub(crate) fn register(
        &mut self,
        registration: &Registration,
        durable: bool,
        now: Now,
    ) -> Result<Changed> {
        self.may_register(registration, 0)?;
        // What is registered here is looked after here.
        let me = self.me.clone();
        Ok(self.place_instance(registration, durable, &me, Phase::Live, now))
    }

    /// The same for whatever is there by now, with somebody who looks after it.
    pub(super) fn place_instance(
        &mut self,
        registration: &Registration,
        durable: bool,
        holder: &Arc<str>,
        phase: Phase,
        now: Now,
    ) -> Changed {
        let mut delta = Changed::default();
        let key = self.key_of(registration);
        let definition = self.define(registration);
        let known = self.slot(&key);
        let is_new = known.is_none();
        let was = known.and_then(|slot| self.records.get(slot)).map(|record| record.view.definition.clone());
        let same = was.as_ref().is_some_and(|was| **was == definition);
        let stays = was.as_ref().is_some_and(|was| was.service == definition.service);
        let tags = was.is_some_and(|was| was.tags == definition.tags);
        let before = known.and_then(|slot| self.records.get(slot)).and_then(Record::endpoint);
        let definition = Arc::new(definition);
        let slot = known.unwrap_or_else(|| self.enter(&key, definition.clone(), registration.status, now));
        if is_new {
            self.join(slot, &mut delta);
        } else if !same {
            // Its tags, its lease or its service may be others: out and in again.
            self.leave(slot, &mut delta);
            if let Some(record) = self.records.get_mut(slot) {
                if !stays && record.shown.take().is_some() {
                    delta.endpoints.insert(record.view.service());
                }
                let next = self.index + 1;
                let view = Instance { definition, modify_index: next, ..Instance::clone(&record.view) };
                record.view = Arc::new(view);
            }
            self.join(slot, &mut delta);
            if stays && tags {
                delta.catalogs.clear();
            }
        }
        if let Some(record) = self.records.get_mut(slot) {
            if record.durable && !durable {
                // The platform took it over, and makes it anew at each start.
                self.dirty.insert(Dirty::Instance(key.clone()));
                self.places.leave(std::mem::take(&mut record.place));
            }
            record.said = registration.status;
            record.durable = durable;
            record.holder = holder.clone();
        }
        self.begin(slot, phase, now);
        self.bring_checks(slot, registration, now, &mut delta);
        let moved = self.address(slot) || (!is_new && !stays);
        self.settle(slot, moved, now, &mut delta);
        if !is_new && stays && before != self.records.get(slot).and_then(Record::endpoint) {
            delta.endpoints.insert(registration.service_key());
        }
        if is_new {
            self.note(ChangeKind::Added, slot, now);
        } else if !same {
            self.note(ChangeKind::Modified, slot, now);
        }
        self.finish(delta, now)
    }

    /// Makes room for a new instance, with nothing of it worked out yet.
    fn enter(&mut self, key: &InstanceKey, definition: Arc<Definition>, said: Status, now: Now) -> u32 {
        let next = self.next();
        let node = self.nodes.get(&key.node).map_or_else(|| key.node.clone(), |node| node.name().clone());
        let key = InstanceKey {
            namespace: self.intern.namespace(&key.namespace),
            node: self.intern.name(&node),
            id: key.id.clone(),
        };
        let endpoint_id = if key.node == self.own { key.id.clone() } else { qualified(&key) };
        let view = Instance {
            definition,
            status: said,
            reported: said,
            override_status: None,
            maintenance: None,
            checks: no_checks(),
            expired: false,
            protected: false,
            create_index: next,
            modify_index: next,
            registered_unix_ms: now.unix_ms,
            since_unix_ms: now.unix_ms,
            key: key.clone(),
        };
        let record = Record {
            view: Arc::new(view),
            said,
            phase: Phase::Live,
            deadline: None,
            scheduled: None,
            checks: Vec::new(),
            authority: None,
            endpoint_id,
            shown: None,
            durable: false,
            place: 0,
            holder: self.me.clone(),
            revision: 0,
        };
        let slot = self.records.insert(record);
        let (records, hasher) = (&self.records, &self.hasher);
        let rehash = |slot: &u32| records.get(*slot).map_or(0, |record| hash(hasher, record.key()));
        self.by_key.insert_unique(hash(hasher, &key), slot, rehash);
        if let Some(node) = self.nodes.get_mut(&key.node) {
            node.members.insert(slot);
        }
        self.aliases.touch(|| CheckOwner::Instance(key));
        slot
    }

    /// What is registered, with everything shared that others say alike.
    fn define(&mut self, registration: &Registration) -> Definition {
        let intern = &mut self.intern;
        Definition {
            service: intern.name(&registration.service),
            host: intern.text(&registration.host),
            port: registration.port,
            tags: intern.tags(&registration.tags),
            metadata: intern.labels(&registration.metadata),
            weights: registration.weights,
            zone: intern.maybe(registration.zone.as_ref()),
            version: intern.maybe(registration.version.as_ref()),
            tagged_addresses: intern.labels(&registration.tagged_addresses),
            enable_tag_override: registration.enable_tag_override,
            lease: registration.lease,
        }
    }

    /// Brings the checks of a registration in line with those that there are.
    fn bring_checks(&mut self, slot: u32, registration: &Registration, now: Now, delta: &mut Changed) {
        let Some(record) = self.records.get(slot) else { return };
        let (key, known) = (record.key().clone(), record.checks.clone());
        let wanted = with_ids(registration);
        for check in known {
            let Some(there) = self.checks.get(check) else { continue };
            let stays = wanted.iter().any(|one| one.id == there.definition().id)
                || (registration.keep_checks && !there.registered);
            if !stays {
                self.drop_check(check, delta);
            }
        }
        let owner = CheckOwner::Instance(key);
        for definition in wanted {
            self.set_check(&owner, definition, true, now, delta);
        }
    }

    /// Whether a registration says nothing that is not known, so that it is no more than a heartbeat.
    pub(crate) fn is_repetition(&mut self, registration: &Registration) -> bool {
        let key = self.key_of(registration);
        let definition = self.define(registration);
        let Some(record) = self.slot(&key).and_then(|slot| self.records.get(slot)) else { return false };
        let wanted = with_ids(registration);
        let known = || record.checks.iter().filter_map(|slot| self.checks.get(*slot));
        let count = if registration.keep_checks {
            known().filter(|check| check.registered).count()
        } else {
            record.checks.len()
        };
        record.durable
            && *record.view.definition == definition
            && record.said == registration.status
            && count == wanted.len()
            && wanted.iter().all(|one| known().any(|check| check.registered && *check.definition() == *one))
    }
}

/// The checks of a registration, those without an id with the one that Consul gives them.
pub(super) fn with_ids(registration: &Registration) -> Vec<CheckDefinition> {
    let several = registration.checks.len() > 1;
    let with_id = |(n, check): (usize, &CheckDefinition)| {
        let mut check = check.clone();
        if check.id.is_empty() {
            check.id = if several {
                format!("service:{}:{}", registration.id, n + 1).into()
            } else {
                format!("service:{}", registration.id).into()
            };
        }
        if check.name.is_empty() {
            check.name = format!("Service '{}' check", registration.service).into();
        }
        check
    };
    registration.checks.iter().enumerate().map(with_id).collect()
}

pub(super) fn no_checks() -> Arc<[Arc<crate::model::check::CheckView>]> {
    Arc::new([])
}

/// The id of an instance of another node among the endpoints of its service: ids are unique on one node only.
fn qualified(key: &InstanceKey) -> InstanceId {
    let text = format!("{}@{}", key.id, key.node);
    text.parse().unwrap_or_else(|_| {
        // Too long together: its end is replaced by a sum over all of it.
        let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let short = format!("{}@{sum:016x}", text.get(..100).unwrap_or_default());
        short.parse().unwrap_or_else(|_| key.id.clone())
    })
}

/// Whether a registration's lease is one that others may not give.
pub(super) fn is_managed(registration: &Registration) -> bool {
    registration.lease == Lease::Managed
}

/// The node of a registration, if it names one.
pub(super) fn node_of<'a>(registration: &'a Registration, own: &'a Name) -> &'a Name {
    registration.node.as_ref().unwrap_or(own)
}
