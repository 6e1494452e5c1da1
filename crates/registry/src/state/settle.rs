//! What counts, worked out from everything that is known.

use std::sync::Arc;

use trellis_core::Status;

use super::record::Phase;
use super::{Changed, Dirty, Now, State};
use crate::model::check::{CheckStatus, CheckView};
use crate::model::instance::Instance;
use crate::model::names::{CheckOwner, Name, ServiceKey};
use crate::model::node::Node;
use crate::model::snapshot::ChangeKind;

impl State {
    /// Works out what an instance's parts make of it. `moved`: its address is another one.
    pub(super) fn settle(&mut self, slot: u32, moved: bool, now: Now, delta: &mut Changed) {
        let next = self.next();
        let Some(record) = self.records.get(slot) else { return };
        let old = &record.view;
        let service = old.service();
        let node = self.nodes.get(&old.key.node).map(|node| &node.view);
        let checks = views(&record.checks, &old.checks, |slot| Some(self.checks.get(slot)?.view.clone()));
        let own = checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Passing);
        let health = own.max(node.map_or(CheckStatus::Passing, |node| node.health()));
        let overridden = self.overrides.of_instance(&old.key);
        let in_maintenance = old.maintenance.is_some() || node.is_some_and(|node| node.maintenance.is_some());
        let status = overridden.or_else(|| self.overrides.of_service(&service)).unwrap_or_else(|| {
            if in_maintenance {
                Status::OutOfService
            } else if health == CheckStatus::Critical {
                Status::Down
            } else {
                record.liveness()
            }
        });
        let mut view = Instance {
            status,
            reported: record.liveness(),
            override_status: overridden,
            expired: record.phase == Phase::Expired,
            protected: record.phase == Phase::Held,
            checks,
            ..Instance::clone(old)
        };
        let weights = view.definition.weights;
        let weight = if health == CheckStatus::Warning { weights.warning } else { weights.passing };
        let shown = (status == Status::Up && record.authority.is_some()).then_some(weight);
        let same = is_same(old, &view) && !moved;
        let only_output = same && !Arc::ptr_eq(&old.checks, &view.checks);
        let is_new = old.modify_index == next;
        if !same {
            view.modify_index = next;
        }
        if old.status != status || moved {
            view.since_unix_ms = now.unix_ms;
        }
        let kept = old.reported == view.reported && old.expired == view.expired;
        let Some(record) = self.records.get_mut(slot) else { return };
        let endpoint_changed = record.shown != shown || (moved && shown.is_some());
        record.shown = shown;
        let durable = record.durable;
        if endpoint_changed {
            delta.endpoints.insert(service.clone());
        }
        if same && !only_output {
            return;
        }
        if durable && !kept {
            self.dirty.insert(Dirty::Instance(view.key.clone()));
        }
        let node = view.key.node.clone();
        if !only_output {
            self.aliases.touch(|| CheckOwner::Instance(view.key.clone()));
        }
        record.view = Arc::new(view);
        if only_output {
            // Seen by whoever reads, but nobody is woken for it.
            self.forget_snapshot(&service);
            if let Some(entry) = self.nodes.get_mut(&node) {
                entry.snapshot = None;
            }
            return;
        }
        delta.services.insert(service);
        delta.nodes.insert(node);
        if !is_new {
            self.note(ChangeKind::Modified, slot, now);
        }
    }

    /// Works out what a node's parts make of it, and of all instances on it.
    pub(super) fn settle_node(&mut self, name: &Name, moved: bool, now: Now, delta: &mut Changed) {
        let next = self.next();
        let Some(entry) = self.nodes.get(name) else { return };
        let old = &entry.view;
        let checks = views(&entry.checks, &old.checks, |slot| Some(self.checks.get(slot)?.view.clone()));
        let same = same_checks(&old.checks, &checks) && !moved && old.modify_index != next;
        let modify_index = if same { old.modify_index } else { next };
        let view = Node { checks, modify_index, ..Node::clone(old) };
        let healths = (old.health(), view.health());
        let Some(entry) = self.nodes.get_mut(name) else { return };
        let name = entry.name().clone();
        entry.view = Arc::new(view);
        entry.snapshot = None;
        self.nodes_snapshot = None;
        let members: Vec<u32> = entry.members.iter().copied().collect();
        for slot in members {
            let Some(service) = self.records.get(slot).map(|record| record.view.service()) else { continue };
            if same {
                self.forget_snapshot(&service);
                continue;
            }
            if moved || healths.0 != healths.1 {
                let moved = moved && self.address(slot);
                self.settle(slot, moved, now, delta);
            }
            delta.services.insert(service);
        }
        if !same {
            self.aliases.touch(|| CheckOwner::Node(name.clone()));
            delta.node_list = true;
            delta.nodes.insert(name);
        }
    }

    fn forget_snapshot(&mut self, service: &ServiceKey) {
        if let Some(entry) = self.services.get_mut(service) {
            entry.snapshot = None;
        }
    }

    /// Works out where an instance is reached; whether that is new.
    pub(super) fn address(&mut self, slot: u32) -> bool {
        let Some(record) = self.records.get(slot) else { return false };
        let definition = &record.view.definition;
        let host = if definition.host.is_empty() {
            self.nodes.get(&record.key().node).map(|node| node.view.definition.address.clone())
        } else {
            Some(definition.host.clone())
        };
        let authority = host.filter(|host| definition.port > 0 && !host.is_empty()).map(|host| {
            if host.contains(':') {
                format!("[{host}]:{}", definition.port)
            } else {
                format!("{host}:{}", definition.port)
            }
        });
        if record.authority.as_deref() == authority.as_deref() {
            return false;
        }
        if let Some(record) = self.records.get_mut(slot) {
            record.authority = authority.map(Into::into);
        }
        true
    }
}

/// The views of checks, the old list if it is the same.
fn views(
    slots: &[u32],
    old: &Arc<[Arc<CheckView>]>,
    view: impl Fn(u32) -> Option<Arc<CheckView>>,
) -> Arc<[Arc<CheckView>]> {
    let is_old = slots.len() == old.len()
        && slots
            .iter()
            .zip(old.iter())
            .all(|(slot, old)| view(*slot).is_some_and(|view| Arc::ptr_eq(&view, old)));
    if is_old { old.clone() } else { slots.iter().filter_map(|slot| view(*slot)).collect() }
}

/// Whether nothing but the output of checks differs.
fn is_same(old: &Instance, new: &Instance) -> bool {
    old.status == new.status
        && old.reported == new.reported
        && old.override_status == new.override_status
        && old.maintenance == new.maintenance
        && old.expired == new.expired
        && old.protected == new.protected
        && Arc::ptr_eq(&old.definition, &new.definition)
        && same_checks(&old.checks, &new.checks)
}

fn same_checks(old: &[Arc<CheckView>], new: &[Arc<CheckView>]) -> bool {
    old.len() == new.len()
        && old.iter().zip(new).all(|(old, new)| {
            old.key.id == new.key.id && old.status == new.status && old.modify_index == new.modify_index
        })
}
