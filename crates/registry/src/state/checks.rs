//! Checks: how they come and go, what they are told, and when the platform asks.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::record::{CheckRecord, Due};
use super::{Changed, Dirty, Now, State};
use crate::error::{Error, Result};
use crate::model::check::{
    CheckAnswer, CheckDefinition, CheckKind, CheckStatus, CheckView, MAX_OUTPUT, NODE_CHECK,
};
use crate::model::labels::Tags;
use crate::model::names::{CheckKey, CheckOwner, InstanceKey};
use crate::policy::judge::{Judge, Thresholds};

/// A question that is due.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) slot: u32,
    pub(crate) generation: u64,
    pub(crate) definition: Arc<CheckDefinition>,
    /// How long after its time it is asked.
    pub(crate) late: Duration,
}

impl State {
    /// Puts a check on an owner, in place of one with the same id. The owner is there.
    pub(crate) fn put_check(
        &mut self,
        owner: &CheckOwner,
        definition: CheckDefinition,
        now: Now,
    ) -> Result<Changed> {
        self.may_put_check(owner, &definition)?;
        let mut delta = Changed::default();
        self.set_check(owner, definition, false, now, &mut delta);
        self.settle_owner(owner, now, &mut delta);
        Ok(self.finish(delta, now))
    }

    /// Whether a check may be put on an owner.
    pub(crate) fn may_put_check(&self, owner: &CheckOwner, check: &CheckDefinition) -> Result<()> {
        let known = self.checks_at(owner).ok_or_else(|| self.unknown_owner(owner))?;
        let others = known.iter().filter_map(|slot| self.checks.get(*slot));
        let others = others.filter(|other| other.definition().id != check.id).count();
        self.may_check(check, others)?;
        self.may_touch(&CheckKey { owner: owner.clone(), id: check.id.clone() })
    }

    pub(crate) fn remove_check(&mut self, key: &CheckKey, now: Now) -> Result<Changed> {
        self.may_touch(key)?;
        let slot = self.check_slot(key).ok_or_else(|| Error::UnknownCheck(key.clone()))?;
        let mut delta = Changed::default();
        self.drop_check(slot, &mut delta);
        self.settle_owner(&key.owner, now, &mut delta);
        Ok(self.finish(delta, now))
    }

    /// Nobody replaces or removes what says that the platform is there.
    pub(crate) fn may_touch(&self, key: &CheckKey) -> Result<()> {
        let is_own = matches!(&key.owner, CheckOwner::Node(node) if *node == self.own);
        if is_own && *key.id == *NODE_CHECK { Err(Error::Own(format!("the check {key}"))) } else { Ok(()) }
    }

    /// Takes a report, and starts the time of a TTL again.
    pub(crate) fn report_check(
        &mut self,
        key: &CheckKey,
        status: CheckStatus,
        output: &str,
        now: Now,
    ) -> Result<Changed> {
        let slot = self.check_slot(key).ok_or_else(|| Error::UnknownCheck(key.clone()))?;
        self.may_touch(key)?;
        let Some(check) = self.checks.get(slot) else { return Ok(Changed::default()) };
        match check.view.definition.kind {
            CheckKind::Ttl(_) => self.restart_ttl(slot, now),
            CheckKind::Reported => {}
            _ => return Err(Error::NotReported(key.clone())),
        }
        if let Some(check) = self.checks.get_mut(slot) {
            check.judge.set(status);
        }
        let mut delta = Changed::default();
        self.say(slot, output, now, &mut delta);
        self.want(match &key.owner {
            CheckOwner::Node(name) => Dirty::Node(name.clone()),
            CheckOwner::Instance(key) => Dirty::Instance(key.clone()),
        });
        Ok(self.finish(delta, now))
    }

    /// Every active check that is due, at most so many; each is the caller's until it gives the answer.
    pub(crate) fn due_probes(&mut self, now: Now, most: usize) -> Vec<Probe> {
        let mut due = Vec::new();
        while due.len() < most && self.next_probe().is_some_and(|at| at <= now.instant) {
            let Some((at, slot)) = self.probes.pop_first() else { break };
            let Some(check) = self.checks.get_mut(slot) else { continue };
            check.next = None;
            let (definition, generation) = (check.view.definition.clone(), check.generation);
            due.push(Probe { slot, generation, definition, late: now.instant.saturating_duration_since(at) });
        }
        due
    }

    /// Takes the answer to a question; one to a check that is gone means nothing.
    pub(crate) fn answer(&mut self, slot: u32, generation: u64, answer: &CheckAnswer, now: Now) -> Changed {
        let mut delta = Changed::default();
        let Some(check) = self.checks.get_mut(slot).filter(|check| check.generation == generation) else {
            return delta;
        };
        let thresholds = Thresholds::of(check.definition());
        check.judge.observe(answer.status, thresholds);
        let interval = check.definition().interval.max(self.options.min_check_interval);
        let jitter = f64::from(check.definition().jitter_percent.min(50)) / 100.0;
        let next = now.instant + interval.mul_f64(1.0 + jitter * (2.0 * now.random.clamp(0.0, 1.0) - 1.0));
        check.next = Some(next);
        self.probes.insert((next, slot));
        self.say(slot, &answer.output, now, &mut delta);
        self.finish(delta, now)
    }

    /// Instances that one of their checks has been critical for too long.
    pub(crate) fn doomed(&self, now: Instant) -> Vec<InstanceKey> {
        let is_over = |slot: &u32| {
            let check = self.checks.get(*slot)?;
            let CheckOwner::Instance(key) = &check.view.key.owner else { return None };
            (self.holds(&check.view.key.owner)
                && check.critical_since? + check.definition().deregister_after? <= now)
                .then(|| key.clone())
        };
        let mut keys: Vec<_> = self.fatal.iter().filter_map(is_over).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    pub(super) fn ttl_is_due(&mut self, slot: u32, now: Now, delta: &mut Changed) {
        let Some(check) = self.checks.get_mut(slot) else { return };
        check.scheduled = None;
        match check.deadline {
            Some(end) if end > now.instant => {
                check.scheduled = Some(end);
                self.deadlines.insert((end, Due::Ttl(slot)));
            }
            Some(_) => {
                check.deadline = None;
                check.judge.set(CheckStatus::Critical);
                self.say(slot, "the TTL ended without a report", now, delta);
            }
            None => {}
        }
    }

    /// Adds or replaces a check; one with the same id goes on with what it knows. Settles nothing.
    pub(super) fn set_check(
        &mut self,
        owner: &CheckOwner,
        definition: CheckDefinition,
        registered: bool,
        now: Now,
        delta: &mut Changed,
    ) {
        let next = self.next();
        let key = CheckKey { owner: owner.clone(), id: definition.id.clone() };
        let old = self.check_slot(&key).and_then(|slot| Some((slot, self.checks.get(slot)?)));
        if let Some((slot, known)) = old
            && *known.definition() == definition
        {
            if let Some(known) = self.checks.get_mut(slot) {
                known.registered = registered;
            }
            return;
        }
        let (service, service_tags) = self.service_of(owner);
        let same_kind = old.is_some_and(|(_, known)| known.definition().kind == definition.kind);
        let known = old.map(|(_, known)| (known.judge, known.view.clone(), known.critical_since));
        let kept = known.filter(|_| same_kind);
        let (judge, output) = match (&definition.kind, &kept) {
            (CheckKind::Alias(target), _) => {
                let (status, output) = self.look_at(target);
                (Judge::new(status), output.into())
            }
            (_, Some((judge, view, _))) => (*judge, view.output.clone()),
            (_, None) => (Judge::new(definition.initial), definition.initial_output.clone()),
        };
        let view = CheckView {
            status: judge.status(),
            output,
            create_index: kept.as_ref().map_or(next, |(_, view, _)| view.create_index),
            modify_index: next,
            since_unix_ms: kept.as_ref().map_or(now.unix_ms, |(_, view, _)| view.since_unix_ms),
            definition: Arc::new(definition),
            key,
            service,
            service_tags,
        };
        let critical_since = kept.and_then(|(_, _, since)| since);
        let critical = (view.status == CheckStatus::Critical).then_some(now.instant);
        if let Some((slot, _)) = old {
            self.drop_check(slot, delta);
        }
        self.place(owner, view, judge, critical_since.or(critical), registered, now, delta);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one new record")]
    fn place(
        &mut self,
        owner: &CheckOwner,
        view: CheckView,
        judge: Judge,
        critical_since: Option<Instant>,
        registered: bool,
        now: Now,
        delta: &mut Changed,
    ) {
        self.generation += 1;
        let held = self.holds(owner);
        let deadline = match view.definition.kind {
            CheckKind::Ttl(ttl) if held && view.status != CheckStatus::Critical => Some(now.instant + ttl),
            _ => None,
        };
        let first = self.options.min_check_interval.min(view.definition.interval);
        let asks = (held && view.definition.is_active())
            .then(|| now.instant + first.mul_f64(now.random.clamp(0.0, 1.0)));
        let is_fatal = view.definition.deregister_after.is_some() && view.status == CheckStatus::Critical;
        let status = view.status;
        let target = match &view.definition.kind {
            CheckKind::Alias(target) => Some(target.clone()),
            _ => None,
        };
        let slot = self.checks.insert(CheckRecord {
            view: Arc::new(view),
            judge,
            registered,
            deadline,
            scheduled: deadline,
            next: asks,
            generation: self.generation,
            critical_since,
        });
        deadline.map(|end| self.deadlines.insert((end, Due::Ttl(slot))));
        asks.map(|at| self.probes.insert((at, slot)));
        if is_fatal {
            self.fatal.insert(slot);
        }
        match owner {
            CheckOwner::Node(name) => {
                if let Some(entry) = self.nodes.get_mut(name) {
                    entry.checks.push(slot);
                    let checks = &self.checks;
                    entry.checks.sort_by(|a, b| {
                        let id = |slot: &u32| checks.get(*slot).map(|check| check.definition().id.clone());
                        id(a).cmp(&id(b))
                    });
                }
            }
            CheckOwner::Instance(key) => {
                if let Some(record) = self.slot(key).and_then(|slot| self.records.get_mut(slot)) {
                    record.checks.push(slot);
                }
            }
        }
        if let Some(target) = target {
            self.aliases.add(&target, slot);
        }
        self.mark_check(slot, delta);
        delta.state(status);
    }

    /// Removes a check everywhere. Settles nothing.
    pub(super) fn drop_check(&mut self, slot: u32, delta: &mut Changed) {
        self.mark_check(slot, delta);
        let Some(check) = self.checks.remove(slot) else { return };
        delta.state(check.view.status);
        check.scheduled.map(|at| self.deadlines.remove(&(at, Due::Ttl(slot))));
        check.next.map(|at| self.probes.remove(&(at, slot)));
        self.fatal.remove(&slot);
        if let CheckKind::Alias(target) = &check.view.definition.kind {
            self.aliases.remove(target, slot);
        }
        match &check.view.key.owner {
            CheckOwner::Node(name) => {
                if let Some(entry) = self.nodes.get_mut(name) {
                    entry.checks.retain(|other| *other != slot);
                }
            }
            CheckOwner::Instance(key) => {
                if let Some(record) = self.slot(key).and_then(|slot| self.records.get_mut(slot)) {
                    record.checks.retain(|other| *other != slot);
                }
            }
        }
    }

    /// Writes down what the judge says by now, and what that makes of the owner.
    pub(super) fn say(&mut self, slot: u32, output: &str, now: Now, delta: &mut Changed) {
        let next = self.next();
        let Some(check) = self.checks.get_mut(slot) else { return };
        let (old, status) = (check.view.clone(), check.judge.status());
        let output = cut(output);
        let changed = old.status != status;
        if !changed && *old.output == *output {
            return;
        }
        let mut view = CheckView { status, output: output.into(), ..CheckView::clone(&old) };
        if changed {
            view.modify_index = next;
            view.since_unix_ms = now.unix_ms;
            check.critical_since = (status == CheckStatus::Critical).then_some(now.instant);
        }
        check.view = Arc::new(view);
        if changed {
            let is_fatal = status == CheckStatus::Critical && old.definition.deregister_after.is_some();
            if is_fatal {
                self.fatal.insert(slot)
            } else {
                self.fatal.remove(&slot)
            };
            delta.state(old.status);
            delta.state(status);
            self.mark_check(slot, delta);
            if !old.definition.is_alias() {
                self.mark_dirty(&old.key.owner);
            }
        }
        self.settle_owner(&old.key.owner, now, delta);
    }

    fn mark_dirty(&mut self, owner: &CheckOwner) {
        match owner {
            CheckOwner::Node(name) => {
                self.dirty.insert(Dirty::Node(name.clone()));
            }
            CheckOwner::Instance(key) => {
                let durable =
                    self.slot(key).and_then(|slot| self.records.get(slot)).is_some_and(|r| r.durable);
                if durable {
                    self.dirty.insert(Dirty::Instance(key.clone()));
                }
            }
        }
    }

    fn mark_check(&mut self, slot: u32, delta: &mut Changed) {
        let Some(check) = self.checks.get(slot) else { return };
        delta.node_checks.insert(check.view.key.owner.node().clone());
        if let CheckOwner::Instance(key) = &check.view.key.owner
            && let Some(record) = self.slot(key).and_then(|slot| self.records.get(slot))
        {
            delta.service_checks.insert(record.view.service());
        }
    }

    pub(super) fn settle_owner(&mut self, owner: &CheckOwner, now: Now, delta: &mut Changed) {
        match owner {
            CheckOwner::Node(name) => self.settle_node(name, false, now, delta),
            CheckOwner::Instance(key) => {
                if let Some(slot) = self.slot(key) {
                    self.settle(slot, false, now, delta);
                }
            }
        }
    }

    pub(super) fn checks_at(&self, owner: &CheckOwner) -> Option<&[u32]> {
        match owner {
            CheckOwner::Node(name) => Some(&self.nodes.get(name)?.checks),
            CheckOwner::Instance(key) => Some(&self.records.get(self.slot(key)?)?.checks),
        }
    }

    pub(super) fn check_slot(&self, key: &CheckKey) -> Option<u32> {
        let known = self.checks_at(&key.owner)?.iter();
        known.copied().find(|slot| self.checks.get(*slot).is_some_and(|check| check.view.key.id == key.id))
    }

    fn service_of(&self, owner: &CheckOwner) -> (Option<crate::model::names::Name>, Tags) {
        let CheckOwner::Instance(key) = owner else { return (None, Tags::default()) };
        let definition =
            self.slot(key).and_then(|slot| self.records.get(slot)).map(|record| &record.view.definition);
        definition.map_or((None, Tags::default()), |known| (Some(known.service.clone()), known.tags.clone()))
    }

    pub(super) fn unknown_owner(&self, owner: &CheckOwner) -> Error {
        match owner {
            CheckOwner::Node(name) => Error::UnknownNode(name.clone()),
            CheckOwner::Instance(key) => self.unknown(key),
        }
    }
}

/// At most [`MAX_OUTPUT`] bytes, and no half character.
fn cut(output: &str) -> &str {
    let mut end = output.len().min(MAX_OUTPUT);
    while !output.is_char_boundary(end) {
        end -= 1;
    }
    output.get(..end).unwrap_or_default()
}
