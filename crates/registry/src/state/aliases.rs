//! Checks that say what is known of another: of an instance with its node, or of a node.
//!
//! Nobody asks for them and no row has what they say: each member works it out from its own memory, when what they look
//! at changes. What another alias says is looked up at its own target instead, so that aliases in a circle say nothing
//! of their own and never hold each other up.

use std::collections::{BTreeSet, HashMap};

use trellis_core::Status;

use super::{Changed, Now, State};
use crate::model::check::{CheckKind, CheckStatus};
use crate::model::names::CheckOwner;
use crate::model::snapshot::ChangeKind;

/// So many instances and nodes are looked at for one alias; one that leads on to more is critical.
const MOST: usize = 64;

/// Who has to be worked out when something changes.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    /// The alias checks that look at an owner. Whoever looks at an instance looks at its node as well.
    of: HashMap<CheckOwner, BTreeSet<u32>, ahash::RandomState>,
    /// What has changed in this step and is looked at by some.
    stale: BTreeSet<CheckOwner>,
}

impl Aliases {
    pub(super) fn add(&mut self, target: &CheckOwner, slot: u32) {
        for owner in looked_at(target) {
            self.of.entry(owner).or_default().insert(slot);
        }
    }

    pub(super) fn remove(&mut self, target: &CheckOwner, slot: u32) {
        for owner in looked_at(target) {
            if let Some(slots) = self.of.get_mut(&owner) {
                slots.remove(&slot);
                if slots.is_empty() {
                    self.of.remove(&owner);
                }
            }
        }
    }

    /// Something of an owner may be otherwise: it came, it went, or it is in another state.
    pub(super) fn touch(&mut self, owner: impl FnOnce() -> CheckOwner) {
        if self.of.is_empty() {
            return;
        }
        let owner = owner();
        if self.of.contains_key(&owner) {
            self.stale.insert(owner);
        }
    }

    /// How many owners are looked at.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }
}

impl State {
    /// What an alias of this says, and why: the worst that is known of it.
    pub(super) fn look_at(&self, target: &CheckOwner) -> (CheckStatus, String) {
        let mut seen = vec![target.clone()];
        let mut worst = (CheckStatus::Passing, format!("nothing is wrong with {target}"));
        let mut at = 0;
        while let Some(owner) = seen.get(at).cloned() {
            at += 1;
            let (said, leads_to) = self.look(&owner);
            if said.0 > worst.0 {
                worst = said;
            }
            if worst.0 == CheckStatus::Critical {
                break;
            }
            for next in leads_to {
                if !seen.contains(&next) {
                    seen.push(next);
                }
                if seen.len() > MOST {
                    return (CheckStatus::Critical, format!("{target} leads on to more than {MOST} others"));
                }
            }
        }
        worst
    }

    /// What is known of one owner without its aliases, and where to look on.
    fn look(&self, owner: &CheckOwner) -> ((CheckStatus, String), Vec<CheckOwner>) {
        let critical = |why: &str| ((CheckStatus::Critical, format!("{owner} {why}")), Vec::new());
        let Some(checks) = self.checks_at(owner) else { return critical("is not registered") };
        let mut leads_to = Vec::new();
        let in_maintenance = match owner {
            CheckOwner::Node(name) => {
                self.nodes.get(name).is_some_and(|node| node.view.maintenance.is_some())
            }
            CheckOwner::Instance(key) => {
                let Some(record) = self.record(key) else { return critical("is not registered") };
                let overridden = self.overrides.of_instance(key);
                let overridden = overridden.or_else(|| self.overrides.of_service(&record.view.service()));
                let status = overridden.unwrap_or_else(|| record.liveness());
                if status != Status::Up {
                    return critical(&format!("is {status}"));
                }
                leads_to.push(CheckOwner::Node(key.node.clone()));
                record.view.maintenance.is_some()
            }
        };
        if in_maintenance {
            return critical("is in maintenance");
        }
        let mut worst = (CheckStatus::Passing, String::new());
        for check in checks.iter().filter_map(|slot| self.checks.get(*slot)) {
            if let CheckKind::Alias(next) = &check.definition().kind {
                leads_to.push(next.clone());
            } else if check.view.status > worst.0 {
                worst = (check.view.status, format!("{} is {}", check.view.key, check.view.status.as_str()));
            }
        }
        (worst, leads_to)
    }

    /// Works out all aliases, near and far, of what has changed in this step.
    pub(super) fn settle_aliases(&mut self, now: Now, delta: &mut Changed) {
        if self.aliases.stale.is_empty() {
            return;
        }
        let next = self.next();
        let changed = std::mem::take(&mut self.aliases.stale);
        for slot in self.behind(changed) {
            let Some(CheckKind::Alias(target)) = self.checks.get(slot).map(|c| &c.definition().kind) else {
                continue;
            };
            let (status, output) = self.look_at(target);
            if let Some(check) = self.checks.get_mut(slot) {
                check.judge.set(status);
            }
            self.say(slot, &output, now, delta);
        }
        // What was said just now was said by aliases, which nobody looks at.
        self.aliases.stale.clear();
        self.note_again(next);
    }

    /// All alias checks from which one comes to one of these owners.
    fn behind(&self, owners: BTreeSet<CheckOwner>) -> BTreeSet<u32> {
        let mut slots = BTreeSet::new();
        let mut ahead: Vec<CheckOwner> = owners.into_iter().collect();
        while let Some(owner) = ahead.pop() {
            for slot in self.aliases.of.get(&owner).into_iter().flatten() {
                if slots.insert(*slot)
                    && let Some(check) = self.checks.get(*slot)
                {
                    ahead.push(check.view.key.owner.clone());
                }
            }
        }
        slots
    }

    /// The changes of this step were put down before its aliases were worked out.
    fn note_again(&mut self, index: u64) {
        let mut log = std::mem::take(&mut self.log);
        for change in log.iter_mut().rev().take_while(|change| change.index == index) {
            if change.kind != ChangeKind::Removed
                && let Some(record) = self.record(&change.instance.key)
            {
                change.instance = record.view.clone();
            }
        }
        self.log = log;
    }
}

/// The target, and the node that it is on.
fn looked_at(target: &CheckOwner) -> impl Iterator<Item = CheckOwner> {
    let node = match target {
        CheckOwner::Node(_) => None,
        CheckOwner::Instance(key) => Some(CheckOwner::Node(key.node.clone())),
    };
    std::iter::once(target.clone()).chain(node)
}
