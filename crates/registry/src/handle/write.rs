//! Changing what is registered. What returns `Ok` here from an `async` function is on disk.
//!
//! While the store is away these fail with [`Error::Store`](crate::Error::Store), which may be tried again; heartbeats,
//! reports and reads go on.

use std::sync::Arc;

use trellis_core::Status;

use super::Handle;
use crate::error::{Error, Fault, Result};
use crate::model::check::{CheckDefinition, CheckStatus};
use crate::model::instance::Instance;
use crate::model::names::{CheckKey, CheckOwner, InstanceKey, Name, ServiceKey};
use crate::model::node::NodeRegistration;
use crate::orders::Order;
use crate::registration::{Lease, Registration};
use crate::state::{About, Changed};

impl Handle {
    /// Registers an instance, in place of one with the same key, and starts its lease. A repetition of what is
    /// registered already writes nothing and is as good as a heartbeat.
    ///
    /// Nobody but the platform replaces an instance that the platform runs. A `Lease::Managed` is for
    /// [`Self::register`], which keeps nothing.
    pub async fn admit(&self, registration: Registration) -> Result<Arc<Instance>> {
        let key = self.shared.read(|state| state.key_of(&registration));
        if registration.lease == Lease::Managed {
            return Err(Error::Own("a lease of the platform".into()));
        }
        self.ask(Order::Register(Box::new(registration))).await?;
        // Gone again at once is as good as refused.
        let entry = self.find(&key).ok_or(Error::UnknownKey(key))?;
        Ok(entry.instance)
    }

    /// Removes an instance and its checks. What operators said of it stays.
    pub async fn remove(&self, key: &InstanceKey) -> Result<()> {
        self.ask(Order::Remove(key.clone())).await
    }

    /// Starts an instance's lease again; an expired one that is still listed comes back. Never touches the disk, but
    /// if another `trellis` looked after the instance so far: then this one takes it over from now on.
    pub async fn heartbeat(&self, key: &InstanceKey) -> Result<()> {
        let is_here = self.shared.step(|state, now| {
            let is_here = state.holds_instance(key);
            let changed = if is_here { state.renew(key, now)? } else { Changed::default() };
            Ok((is_here, changed))
        })?;
        if !is_here {
            self.ask(Order::TakeOver(key.clone())).await?;
        }
        self.shared.counters.renewals.add(1);
        Ok(())
    }

    /// Takes what an instance reports of itself. Kept in memory: after a restart it is as it was registered, until it
    /// reports again. What the platform runs is watched by the platform, and by nobody else.
    pub fn report(&self, key: &InstanceKey, status: Status) -> Result<()> {
        self.shared.step(|state, now| {
            if state.record(key).is_some_and(|record| record.lease() == Lease::Managed) {
                return Err(Error::Managed(key.id.clone()));
            }
            Ok(((), state.report(key, status, now)?))
        })
    }

    /// Says what status an instance has whatever its liveness says, or takes that back with `None`. Holds until it is
    /// taken back, over restarts and registrations. The instance must be registered.
    pub async fn override_instance(&self, key: &InstanceKey, status: Option<Status>) -> Result<()> {
        self.ask(Order::Override(About::Instance(key.clone()), status)).await
    }

    /// The same for all instances of a service, present and future, but those of which something else is said.
    pub async fn override_service(&self, service: &ServiceKey, status: Option<Status>) -> Result<()> {
        self.ask(Order::Override(About::Service(service.clone()), status)).await
    }

    /// Takes an instance out for maintenance, with a reason that may be empty, or brings it back with `None`. It is
    /// `OUT_OF_SERVICE` in the meantime. Ends with the instance, not with a new registration.
    pub async fn set_maintenance(&self, key: &InstanceKey, reason: Option<&str>) -> Result<()> {
        self.ask(Order::Maintain(key.clone(), short(reason)?)).await
    }

    /// Registers a node, in place of one with the same name; its checks and instances stay. Of the platform's own node
    /// metadata, tagged addresses and id may be set, its address stays.
    pub async fn put_node(&self, node: NodeRegistration) -> Result<()> {
        self.ask(Order::PutNode(node)).await
    }

    /// Removes a node with its checks and all instances on it. The platform's own stays.
    pub async fn remove_node(&self, name: &Name) -> Result<()> {
        self.ask(Order::RemoveNode(name.clone())).await
    }

    /// Takes a node out for maintenance: all instances on it are `OUT_OF_SERVICE`.
    pub async fn set_node_maintenance(&self, name: &Name, reason: Option<&str>) -> Result<()> {
        self.ask(Order::MaintainNode(name.clone(), short(reason)?)).await
    }

    /// Puts a check on an instance or a node, in place of one with the same id. Its key.
    pub async fn put_check(&self, owner: &CheckOwner, check: CheckDefinition) -> Result<CheckKey> {
        let mut check = check;
        if check.id.is_empty() {
            check.id = match owner {
                CheckOwner::Node(_) => check.name.clone(),
                CheckOwner::Instance(key) => format!("service:{}", key.id).into(),
            };
        }
        if check.id.is_empty() {
            let detail = "a check of a node has an id or a name".into();
            return Err(Error::Invalid(vec![Fault { pointer: "/id".into(), detail }]));
        }
        if check.name.is_empty() {
            check.name = check.id.clone();
        }
        let key = CheckKey { owner: owner.clone(), id: check.id.clone() };
        self.ask(Order::PutCheck(owner.clone(), Box::new(check))).await?;
        Ok(key)
    }

    /// Removes a check. Not [`NODE_CHECK`](crate::NODE_CHECK) of the platform's own node.
    pub async fn remove_check(&self, key: &CheckKey) -> Result<()> {
        self.ask(Order::RemoveCheck(key.clone())).await
    }

    /// Takes a report of a check of the kind `Ttl` or `Reported`, and starts its time again; others are refused with
    /// [`Error::NotReported`](crate::Error::NotReported). The output is cut to [`MAX_OUTPUT`](crate::MAX_OUTPUT) bytes.
    /// Never touches the disk.
    pub fn report_check(&self, key: &CheckKey, status: CheckStatus, output: &str) -> Result<()> {
        self.shared.step(|state, now| Ok(((), state.report_check(key, status, output, now)?)))
    }
}

/// Longest reason for a maintenance, in bytes.
const MAX_REASON: usize = 1024;

fn short(reason: Option<&str>) -> Result<Option<Arc<str>>> {
    match reason {
        Some(text) if text.len() > MAX_REASON => {
            let detail = format!("a reason has at most {MAX_REASON} bytes");
            Err(Error::Invalid(vec![Fault { pointer: "/reason".into(), detail }]))
        }
        reason => Ok(reason.map(Into::into)),
    }
}
