//! Taking in what other members wrote.
//!
//! What is registered is as the row has it, whoever wrote it. How it is (statuses, the end of a lease) is for the holder
//! to say: a row that says something else of what is looked after here is brought in line later.

use std::sync::Arc;

use super::record::Phase;
use super::{Changed, Dirty, Now, SavedInstance, SavedNode, Standing, State};
use crate::model::instance::Instance;
use crate::model::names::{CheckOwner, InstanceKey, Name};
use crate::model::node::{Node, NodeRegistration};
use crate::model::snapshot::ChangeKind;

impl State {
    /// Takes an instance as its row has it.
    pub(crate) fn take_instance(&mut self, saved: SavedInstance, standing: Standing, now: Now) -> Changed {
        let mut saved = saved;
        let Standing { revision, holder } = standing;
        let standing = Standing { revision, holder: self.intern.text(&holder) };
        let key = self.key_of(&saved.registration);
        let known = self.slot(&key).and_then(|slot| self.records.get(slot));
        if known.is_some_and(|record| record.revision >= standing.revision && record.revision > 0) {
            return Changed::default();
        }
        let what = Dirty::Instance(key.clone());
        let stays = known.is_some_and(|record| record.holder == self.me) && standing.holder == self.me;
        let was_dirty = self.dirty.contains(&what);
        let mut differs = false;
        if stays && let Some(own) = self.save(&key) {
            differs = was_dirty
                || own.expired != saved.expired
                || own.registration.status != saved.registration.status
                || own.checks != saved.checks;
            saved.expired = own.expired;
            saved.registration.status = own.registration.status;
            saved.checks = own.checks;
        }
        let node = key.node.clone();
        let mut changed = if self.nodes.contains_key(&node) {
            Changed::default()
        } else {
            // Its own row follows.
            self.place_node(NodeRegistration::new(node, ""), now)
        };
        saved.registration.keep_checks = true;
        let is_leased = matches!(saved.registration.lease, crate::registration::Lease::For(_));
        let phase = if saved.expired && is_leased { Phase::Expired } else { Phase::Live };
        changed.merge(self.place_instance(&saved.registration, true, &standing.holder, phase, now));
        changed.merge(self.complete(&key, saved, now));
        if let Some(slot) = self.slot(&key) {
            self.align(slot, now);
            if let Some(record) = self.records.get_mut(slot) {
                record.revision = standing.revision;
            }
        }
        self.buried.remove(&key);
        if differs {
            self.dirty.insert(what);
        } else {
            self.dirty.remove(&what);
            self.wanted.remove(&what);
        }
        changed
    }

    /// What a row has beside the registration.
    fn complete(&mut self, key: &InstanceKey, saved: SavedInstance, now: Now) -> Changed {
        let mut delta = Changed::default();
        let Some(slot) = self.slot(key) else { return delta };
        let owner = CheckOwner::Instance(key.clone());
        let known = self.records.get(slot).map(|record| record.checks.clone()).unwrap_or_default();
        for check in known {
            let Some(there) = self.checks.get(check) else { continue };
            if !there.registered && saved.more.iter().all(|one| one.id != there.definition().id) {
                self.drop_check(check, &mut delta);
            }
        }
        let next = self.next();
        let Some(record) = self.records.get_mut(slot) else { return delta };
        let moved = record.view.maintenance != saved.maintenance;
        if moved || record.view.registered_unix_ms != saved.since_unix_ms {
            let mut view = Instance::clone(&record.view);
            view.registered_unix_ms = saved.since_unix_ms;
            if moved {
                view.maintenance = saved.maintenance;
                view.modify_index = next;
                delta.services.insert(view.service());
                delta.nodes.insert(key.node.clone());
                self.aliases.touch(|| owner.clone());
            }
            record.view = Arc::new(view);
        }
        self.restore_checks(&owner, saved.more, saved.checks, now, &mut delta);
        self.settle(slot, false, now, &mut delta);
        if moved {
            self.note(ChangeKind::Modified, slot, now);
        }
        self.finish(delta, now)
    }

    /// There is no row of an instance any more.
    pub(crate) fn lose_instance(&mut self, key: &InstanceKey, now: Now) -> Changed {
        self.buried.remove(key);
        self.dirty.remove(&Dirty::Instance(key.clone()));
        let mut delta = Changed::default();
        let Some(slot) = self.slot(key) else { return delta };
        let Some(record) = self.records.get_mut(slot) else { return delta };
        if record.revision == 0 {
            // Not written down yet.
            self.dirty.insert(Dirty::Instance(key.clone()));
            return delta;
        }
        if record.is_managed() && record.holder == self.me {
            // It runs here all the same: it was taken for dead, and is not.
            record.revision = 0;
            self.dirty.insert(Dirty::Instance(key.clone()));
            return delta;
        }
        self.take_out(slot, now, &mut delta);
        self.finish(delta, now)
    }

    /// Takes a node as its row has it.
    pub(crate) fn take_node(&mut self, saved: SavedNode, standing: Standing, now: Now) -> Changed {
        let Standing { revision, holder } = standing;
        let standing = Standing { revision, holder: self.intern.text(&holder) };
        let name = saved.registration.name.clone();
        if self.nodes.get(&name).is_some_and(|node| node.revision >= standing.revision && node.revision > 0) {
            return Changed::default();
        }
        let mut changed = self.place_node(saved.registration, now);
        let mut delta = Changed::default();
        let next = self.next();
        let Some(entry) = self.nodes.get_mut(&name) else { return changed };
        let stays = entry.holder == self.me && standing.holder == self.me && entry.revision > 0;
        let known = entry.checks.clone();
        let moved = entry.view.maintenance != saved.maintenance;
        if moved {
            let view =
                Node { maintenance: saved.maintenance, modify_index: next, ..Node::clone(&entry.view) };
            entry.view = Arc::new(view);
        }
        let members: Vec<u32> = entry.members.iter().copied().collect();
        for check in known {
            let Some(there) = self.checks.get(check) else { continue };
            if !there.registered && saved.more.iter().all(|one| one.id != there.definition().id) {
                self.drop_check(check, &mut delta);
            }
        }
        let said = if stays { Vec::new() } else { saved.checks };
        self.restore_checks(&CheckOwner::Node(name.clone()), saved.more, said, now, &mut delta);
        self.settle_node(&name, false, now, &mut delta);
        if moved {
            for slot in members {
                self.settle(slot, false, now, &mut delta);
            }
        }
        changed.merge(self.finish(delta, now));
        let what = Dirty::Node(name);
        if !stays {
            self.dirty.remove(&what);
            self.wanted.remove(&what);
        }
        self.stand(&what, standing, now);
        changed
    }

    /// There is no row of a node any more.
    pub(crate) fn lose_node(&mut self, name: &Name, now: Now) -> Changed {
        let what = Dirty::Node(name.clone());
        self.dirty.remove(&what);
        let Some(entry) = self.nodes.get_mut(name) else { return Changed::default() };
        let members: Vec<u32> = entry.members.iter().copied().collect();
        let runs_here =
            |slot: &u32| self.records.get(*slot).is_some_and(|r| r.is_managed() && r.holder == self.me);
        if *name != self.own && !members.iter().any(runs_here) {
            return self.take_out_node(name, now);
        }
        // It is here all the same.
        entry.revision = 0;
        entry.holder = self.me.clone();
        self.dirty.insert(what);
        let keys: Vec<InstanceKey> =
            members.iter().filter_map(|slot| Some(self.records.get(*slot)?.key().clone())).collect();
        let mut changed = Changed::default();
        for key in keys {
            changed.merge(self.lose_instance(&key, now));
        }
        changed
    }
}
