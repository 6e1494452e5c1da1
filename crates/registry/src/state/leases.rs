//! Leases: how they go on, and how they end.

use std::time::Duration;

use tokio::time::Instant;
use trellis_core::Status;

use super::record::{Due, Phase};
use super::{Changed, Dirty, Now, State};
use crate::error::Result;
use crate::model::names::{InstanceKey, ServiceKey};
use crate::options::Options;
use crate::policy::protection::Verdict;
use crate::registration::Lease;

/// What a pass over the deadlines found.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    pub(crate) changed: Changed,
    /// What is done only once it is written down, since others share the store: their leases end, or they are removed.
    pub(crate) intents: Vec<Intent>,
    /// Their lease ended.
    pub(crate) expired: Vec<(ServiceKey, InstanceKey)>,
    /// Their lease ended, and is not believed to have.
    pub(crate) held: Vec<(ServiceKey, InstanceKey)>,
    /// They had been expired for long enough.
    pub(crate) removed: Vec<(ServiceKey, InstanceKey)>,
    /// Services that became protected.
    pub(crate) protected: usize,
    /// Somebody is told of it, or is to write it down.
    pub(crate) is_news: bool,
}

/// Least time between two passes; deadlines that only moved away are many.
const BREATH: Duration = Duration::from_millis(5);

impl Expiry {
    /// How long the next pass waits. News wake whoever follows them, so they are told in larger pieces; a TTL that was
    /// renewed is none, and the end of the next is not to wait for it.
    pub(crate) fn pause(&self, options: &Options) -> Duration {
        if self.is_news { options.reap_interval } else { options.reap_interval.min(BREATH) }
    }
}

/// What is to become of an instance when that is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Its lease has ended.
    End(InstanceKey),
    /// It has been expired for long enough.
    Purge(InstanceKey),
}

impl State {
    /// Starts the lease again. An expired instance that is still listed comes back.
    pub(crate) fn renew(&mut self, key: &InstanceKey, now: Now) -> Result<Changed> {
        let slot = self.slot(key).ok_or_else(|| self.unknown(key))?;
        let was = self.records.get(slot).map(|record| record.phase);
        self.start_lease(slot, now);
        if was == Some(Phase::Live) {
            return Ok(Changed::default());
        }
        let mut delta = Changed::default();
        self.settle(slot, false, now, &mut delta);
        Ok(self.finish(delta, now))
    }

    /// Takes a report about liveness. It does not renew the lease.
    pub(crate) fn report(&mut self, key: &InstanceKey, status: Status, now: Now) -> Result<Changed> {
        let slot = self.slot(key).ok_or_else(|| self.unknown(key))?;
        let mut delta = Changed::default();
        if let Some(record) = self.records.get_mut(slot)
            && record.said != status
        {
            record.said = status;
            if record.durable {
                self.dirty.insert(Dirty::Instance(key.clone()));
            }
            self.settle(slot, false, now, &mut delta);
            self.want(Dirty::Instance(key.clone()));
        }
        Ok(self.finish(delta, now))
    }

    pub(super) fn start_lease(&mut self, slot: u32, now: Now) {
        let Some(record) = self.records.get_mut(slot) else { return };
        let deadline = match record.lease() {
            // The time of what another member looks after is counted there.
            _ if record.holder != self.me => None,
            Lease::Managed | Lease::None => None,
            Lease::For(lease) => Some(now.instant + lease),
        };
        if record.phase != Phase::Live {
            record.phase = Phase::Live;
            let service = record.view.service();
            if let Some(entry) = self.services.get_mut(&service)
                && let Some(protection) = &mut entry.protection
            {
                protection.came_back();
            }
        }
        self.schedule(slot, deadline);
    }

    /// A deadline that moves away is left where it stands: it is looked at when it is due.
    pub(super) fn schedule(&mut self, slot: u32, deadline: Option<Instant>) {
        let Some(record) = self.records.get_mut(slot) else { return };
        record.deadline = deadline;
        let stands = matches!((record.scheduled, deadline), (Some(at), Some(end)) if at <= end);
        if stands {
            return;
        }
        if let Some(old) = record.scheduled {
            self.deadlines.remove(&(old, Due::Lease(slot)));
        }
        record.scheduled = deadline;
        if let Some(at) = deadline {
            self.deadlines.insert((at, Due::Lease(slot)));
        }
    }

    /// Handles every deadline up to `now`.
    pub(crate) fn expire(&mut self, now: Now) -> Expiry {
        let mut found = Expiry::default();
        let mut delta = Changed::default();
        while self.next_deadline().is_some_and(|deadline| deadline <= now.instant) {
            let Some((_, due)) = self.deadlines.pop_first() else { break };
            match due {
                Due::Ttl(check) => self.ttl_is_due(check, now, &mut delta),
                Due::Lease(slot) => self.lease_is_due(slot, now, &mut found, &mut delta),
            }
        }
        found.changed = self.finish(delta, now);
        found.is_news = found.changed.index > 0 || !found.intents.is_empty();
        found
    }

    fn lease_is_due(&mut self, slot: u32, now: Now, found: &mut Expiry, delta: &mut Changed) {
        let Some(record) = self.records.get_mut(slot) else { return };
        record.scheduled = None;
        let (phase, deadline) = (record.phase, record.deadline);
        let name = (record.view.service(), record.key().clone());
        if deadline.is_none_or(|end| end > now.instant) {
            return self.schedule(slot, deadline);
        }
        match phase {
            Phase::Expired if self.is_shared => found.intents.push(Intent::Purge(name.1)),
            Phase::Held if self.is_shared => found.intents.push(Intent::End(name.1)),
            Phase::Expired => {
                if record.durable {
                    // Its row goes before long; until then a restart would give it another lease.
                    self.dirty.insert(Dirty::Instance(name.1.clone()));
                }
                self.take_out(slot, now, delta);
                found.removed.push(name);
            }
            Phase::Held => {
                self.end(slot, Phase::Expired, now.instant + self.options.keep_expired, now, delta);
                found.expired.push(name);
            }
            Phase::Live => match self.verdict(&name.0, now) {
                // Counted from now, not from the end of the lease: a stalled platform must not skip what people
                // should see, nor the time in which the instance may come back.
                Verdict::Expire if self.is_shared => found.intents.push(Intent::End(name.1)),
                Verdict::Expire => {
                    self.end(slot, Phase::Expired, now.instant + self.options.keep_expired, now, delta);
                    found.expired.push(name);
                }
                Verdict::Hold(until) => {
                    self.end(slot, Phase::Held, until, now, delta);
                    found.held.push(name);
                }
                Verdict::HoldAll(until) => {
                    self.end(slot, Phase::Held, until, now, delta);
                    found.protected += 1;
                    self.protections += 1;
                    self.call_back(&name.0, until, now, delta);
                    found.held.push(name);
                }
            },
        }
    }

    fn verdict(&mut self, service: &ServiceKey, now: Now) -> Verdict {
        let Some(entry) = self.services.get_mut(service) else { return Verdict::Expire };
        let policy = entry.protection.get_or_insert_default();
        policy.ended(now.instant, entry.leased, &self.options.protection)
    }

    pub(super) fn end(&mut self, slot: u32, phase: Phase, until: Instant, now: Now, delta: &mut Changed) {
        if let Some(record) = self.records.get_mut(slot) {
            record.phase = phase;
        }
        self.schedule(slot, Some(until));
        self.settle(slot, false, now, delta);
    }

    /// Those whose lease ended a moment before the others' are believed no more than they.
    fn call_back(&mut self, service: &ServiceKey, until: Instant, now: Now, delta: &mut Changed) {
        let Some(entry) = self.services.get(service) else { return };
        let (keep, window) = (self.options.keep_expired, self.options.protection.window);
        let of_late = |slot: &u32| {
            let record = self.records.get(*slot)?;
            let removed = record.deadline.filter(|_| record.phase == Phase::Expired)?;
            (removed + window >= now.instant + keep).then_some(*slot)
        };
        let slots: Vec<u32> = entry.members.iter().filter_map(of_late).collect();
        for slot in slots {
            self.end(slot, Phase::Held, until, now, delta);
        }
    }
}
