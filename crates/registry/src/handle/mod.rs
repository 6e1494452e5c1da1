//! What others do with the registry.

mod catalog;
mod endpoints;
pub(crate) mod members;
mod streams;
mod watch;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch as channel};
use tracing::error;
use trellis_core::{Discovery, EndpointSet, EndpointWatch, InstanceId, ServiceInstance, ServiceName, Status};
use trellis_storage::members::Handle as Members;

pub(crate) use streams::Mark;

use crate::error::{Error, Result};
use crate::model::names::ServiceKey;
use crate::options::Options;
use crate::orders::{Order, Request};
use crate::registration::{Lease, Registration};
use crate::shared::Shared;
use crate::state::{About, Asker, Dirty};
use crate::view::{InstanceView, OverrideView, ServiceSummary};

/// The registry, for everyone but itself. Clones are the same registry.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Request>,
    members: Members,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>, orders: mpsc::Sender<Request>, members: Members) -> Self {
        Self { shared, orders, members }
    }

    /// What the registry was set up with.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Registers an instance in memory only, for the platform, which registers what it runs anew at each start. What
    /// comes back has the status that counts. Everyone else's registrations are durable: [`Self::admit`].
    #[expect(clippy::needless_pass_by_value, reason = "the same as `admit`, which keeps it")]
    pub fn register(&self, registration: Registration) -> Result<ServiceInstance> {
        let view = self.shared.step(|state, now| {
            // Others that share the store see it as well, as long as this member lives.
            let is_shared = state.is_shared();
            let changed = state.register(&registration, is_shared, now)?;
            let key = state.key_of(&registration);
            if is_shared {
                state.put_dirty(vec![Dirty::Instance(key.clone())]);
            }
            let entry = state.find(&key).ok_or_else(|| state.unknown(&key))?;
            let view = InstanceView::new(&entry, state, now).ok_or(Error::NotShown(key))?;
            Ok((view, changed))
        })?;
        self.shared.counters.registrations.add(1);
        Ok(view.instance)
    }

    /// [`Self::admit`] for the native door.
    pub(crate) async fn take_in(&self, registration: Registration) -> Result<InstanceView> {
        let (id, lease) = (registration.id.clone(), registration.lease);
        self.admit(registration).await?;
        let mut view = self.instance(&id)?;
        if let Lease::For(lease) = lease {
            // How long the lease is, and not what is left of it by now.
            view.expires_in_ms = Some(lease.as_millis() as u64);
        }
        Ok(view)
    }

    /// Starts the lease of an instance on the own node again; an expired one that is still listed comes back.
    pub fn renew(&self, id: &InstanceId) -> Result<()> {
        let key = self.own_key(id);
        self.shared.step(|state, now| Ok(((), state.renew(&key, now)?)))?;
        self.shared.counters.renewals.add(1);
        Ok(())
    }

    /// Removes an instance on the own node, for the platform. In memory at once; if it has a row, that goes soon.
    pub fn deregister(&self, id: &InstanceId) -> Result<()> {
        let key = self.own_key(id);
        self.shared.step(|state, now| {
            let (has_row, row) = (state.save(&key).is_some(), state.standing(&Dirty::Instance(key.clone())));
            let changed = state.deregister(&key, Asker::Platform, now)?;
            if state.is_shared() {
                state.bury(&key, row.revision);
            } else if has_row {
                state.put_dirty(vec![Dirty::Instance(key.clone())]);
            }
            Ok(((), changed))
        })
    }

    /// Removes an instance on the own node for someone outside, who may not remove what the platform runs. Durable.
    pub async fn withdraw(&self, id: &InstanceId) -> Result<()> {
        self.remove(&self.own_key(id)).await
    }

    /// Says for the platform what is known of the liveness of an instance on the own node. Does not renew its lease.
    pub fn set_status(&self, id: &InstanceId, status: Status) -> Result<()> {
        let key = self.own_key(id);
        self.shared.step(|state, now| Ok(((), state.report(&key, status, now)?)))
    }

    /// The instances that may take traffic.
    pub fn discover(&self, service: &ServiceName) -> Vec<ServiceInstance> {
        let views = self.views(service);
        views.into_iter().map(|view| view.instance).filter(|i| i.status == Status::Up).collect()
    }

    /// All instances of a service, in the order of their ids.
    pub fn instances(&self, service: &ServiceName) -> Vec<ServiceInstance> {
        self.views(service).into_iter().map(|view| view.instance).collect()
    }

    /// A service and all its instances, if it has any.
    pub fn service(&self, name: &ServiceName) -> Result<ServiceSummary> {
        let key = ServiceKey::of(name);
        let summary = self.shared.make(|state| ServiceSummary::read(&key, state, self.shared.now()));
        summary.ok_or(Error::UnknownService(key))
    }

    /// One instance on the own node.
    pub fn instance(&self, id: &InstanceId) -> Result<InstanceView> {
        let key = self.own_key(id);
        let now = self.shared.now();
        self.shared.read(|state| {
            let entry = state.find(&key).ok_or_else(|| state.unknown(&key))?;
            InstanceView::new(&entry, state, now).ok_or_else(|| Error::NotShown(key.clone()))
        })
    }

    /// All services of the default namespace that have instances and a name that routes can use, in the order of their
    /// names. [`Self::catalog`] has the others as well.
    pub fn services(&self) -> Vec<ServiceSummary> {
        let now = self.shared.now();
        let mut keys: Vec<_> = self.shared.read(|state| state.names().cloned().collect());
        keys.sort();
        // One after the other, so that nobody waits for all of them.
        keys.iter()
            .filter_map(|key| self.shared.make(|state| ServiceSummary::read(key, state, now)))
            .collect()
    }

    /// The names of services that have instances. A name that routes cannot use is not among them.
    pub fn names(&self) -> channel::Receiver<Arc<BTreeSet<ServiceName>>> {
        self.shared.names.subscribe()
    }

    /// The endpoints of a service now; none, with revision 0, if it is not known.
    pub fn endpoints(&self, service: &ServiceName) -> Arc<EndpointSet> {
        self.shared.endpoints(service)
    }

    /// How many requests wait for a change.
    pub fn waiting(&self) -> usize {
        self.shared.options.max_waiters.saturating_sub(self.shared.waiters.available_permits())
    }

    /// What operators said, of services first.
    pub fn overrides(&self) -> Vec<OverrideView> {
        self.shared.read(|state| state.overrides().views(state.own()))
    }

    /// Says what status an instance on the own node has whatever its liveness says, or takes that back with `None`.
    /// Durable when this returns. Holds until it is taken back, over restarts and registrations. The instance must be
    /// registered.
    pub async fn set_override(&self, id: &InstanceId, status: Option<Status>) -> Result<()> {
        self.override_instance(&self.own_key(id), status).await
    }

    /// The same for all instances of a service, present and future, but those of which something else is said.
    pub async fn set_service_override(&self, service: &ServiceName, status: Option<Status>) -> Result<()> {
        self.ask(Order::Override(About::Service(ServiceKey::of(service)), status)).await
    }

    /// Asks for a change, and waits until it is on disk and in effect.
    async fn ask(&self, order: Order) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.orders.send(Request { order, done }).await.map_err(|_| Error::Stopping)?;
        answer.await.map_err(|_| Error::Stopping)?
    }

    fn views(&self, service: &ServiceName) -> Vec<InstanceView> {
        self.service(service).map(|summary| summary.instances).unwrap_or_default()
    }
}

impl Discovery for Handle {
    fn watch(&self, service: &ServiceName) -> EndpointWatch {
        self.shared.watch(service).unwrap_or_else(|refused| {
            error!(%service, error = %refused, "cannot be watched: it will seem to have no instance");
            channel::channel(Arc::default()).1
        })
    }
}
