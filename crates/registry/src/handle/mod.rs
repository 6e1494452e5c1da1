//! What others do with the registry.

mod catalog;
mod watch;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch as channel};
use tracing::error;
use trellis_core::{Discovery, EndpointSet, EndpointWatch, InstanceId, ServiceInstance, ServiceName, Status};

use crate::error::{Error, Result};
use crate::options::Options;
use crate::registration::Registration;
use crate::service::Word;
use crate::shared::Shared;
use crate::state::{Asker, Changed, Record};
use crate::view::{InstanceView, OverrideView, ServiceSummary, Target};

pub use watch::Cached;

/// The registry, for everyone but itself. Clones are the same registry.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    words: mpsc::Sender<Word>,
}

/// A service's name, what is said of it, and its records: copied out under the lock, made into a view outside it.
type Rows = (ServiceName, Option<Status>, Vec<(Record, Option<Status>)>);

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>, words: mpsc::Sender<Word>) -> Self {
        Self { shared, words }
    }

    /// What the registry was set up with.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Registers an instance, in place of one with the same id, and starts its lease. What comes back has the status
    /// that counts. Nobody but the platform replaces an instance that the platform runs.
    pub fn register(&self, registration: Registration) -> Result<ServiceInstance> {
        self.take_in(registration).map(|view| view.instance)
    }

    /// [`Self::register`] with more to tell.
    pub(crate) fn take_in(&self, registration: Registration) -> Result<InstanceView> {
        let id = registration.id.clone();
        self.shared.step(|state, now| {
            let changed = state.register(registration, now)?;
            let (record, said) = state.row(&id).ok_or(Error::UnknownInstance(id))?;
            Ok((record.to_view(said, now.instant), changed))
        })
    }

    /// Starts an instance's lease again; an expired one that is still listed comes back.
    pub fn renew(&self, id: &InstanceId) -> Result<()> {
        self.shared.step(|state, now| Ok(((), state.renew(id, now)?)))
    }

    /// Removes an instance, for the platform.
    pub fn deregister(&self, id: &InstanceId) -> Result<()> {
        self.take_out(id, Asker::Platform)
    }

    /// Removes an instance for someone outside, who may not remove what the platform runs. For doors.
    pub fn withdraw(&self, id: &InstanceId) -> Result<()> {
        self.take_out(id, Asker::Outside)
    }

    /// Reports what is known of an instance's liveness. Does not renew its lease.
    pub fn set_status(&self, id: &InstanceId, status: Status) -> Result<()> {
        self.shared.step(|state, now| Ok(((), state.set_status(id, status, now)?)))
    }

    /// The instances that may take traffic.
    pub fn discover(&self, service: &ServiceName) -> Vec<ServiceInstance> {
        self.rows(service).2.into_iter().filter(|(r, _)| r.is_up()).map(|(r, _)| r.to_instance()).collect()
    }

    /// All instances of a service, in the order of their ids.
    pub fn instances(&self, service: &ServiceName) -> Vec<ServiceInstance> {
        self.rows(service).2.into_iter().map(|(record, _)| record.to_instance()).collect()
    }

    /// A service and all its instances, if it has any.
    pub fn service(&self, name: &ServiceName) -> Result<ServiceSummary> {
        let rows = self.rows(name);
        if rows.2.is_empty() { Err(Error::UnknownService(crate::ServiceKey::of(name))) } else { Ok(self.summary(rows)) }
    }

    /// One instance.
    pub fn instance(&self, id: &InstanceId) -> Result<InstanceView> {
        let now = self.shared.now();
        let row =
            self.shared.read(|state| state.row(id)).ok_or_else(|| Error::UnknownInstance(id.clone()))?;
        Ok(row.0.to_view(row.1, now.instant))
    }

    /// All services that have instances, in the order of their names.
    pub fn services(&self) -> Vec<ServiceSummary> {
        let rows: Vec<Rows> = self.shared.read(|state| {
            let row =
                |name: &ServiceName| (name.clone(), state.overrides().of_service(name), state.rows(name));
            state.names().map(row).collect()
        });
        rows.into_iter().map(|rows| self.summary(rows)).collect()
    }

    /// The names of services that have instances, from the first time that one of them takes traffic. A name that is
    /// gone may stay until the next one comes or goes.
    pub fn names(&self) -> channel::Receiver<Arc<BTreeSet<ServiceName>>> {
        self.shared.names.subscribe()
    }

    /// The endpoints of a service now; none, with revision 0, if it is not known.
    pub fn endpoints(&self, service: &ServiceName) -> Arc<EndpointSet> {
        self.shared.endpoints(service)
    }

    /// The endpoints of a service as soon as their revision is another than `known`, or when `wait` has passed. A wait
    /// is at most [`Options::max_wait`], and up to a sixteenth shorter than asked, so that those who asked together do
    /// not come back together.
    pub async fn endpoints_after(
        &self,
        service: &ServiceName,
        known: u64,
        wait: Duration,
    ) -> Result<Arc<EndpointSet>> {
        let current = self.endpoints(service);
        if current.revision != known || wait.is_zero() {
            return Ok(current);
        }
        // Those who wait already get what there is; whoever comes back with that would do nothing but ask.
        if self.shared.closing.is_triggered() {
            return Err(Error::Stopping);
        }
        let full = Error::TooManyWaiters(self.shared.options.max_waiters);
        let _place = self.shared.waiters.try_acquire().map_err(|_| full)?;
        let mut watch = self.shared.watch(service)?;
        tokio::select! {
            _ = watch.wait_for(|set| set.revision != known) => {}
            () = self.shared.closing.triggered() => {}
            () = tokio::time::sleep(shorten(wait.min(self.shared.options.max_wait), fastrand::f64())) => {}
        }
        Ok(watch.borrow().clone())
    }

    /// How many requests wait for a change.
    pub fn waiting(&self) -> usize {
        self.shared.options.max_waiters.saturating_sub(self.shared.waiters.available_permits())
    }

    /// What operators said, of services first.
    pub fn overrides(&self) -> Vec<OverrideView> {
        self.shared.read(|state| state.overrides().views())
    }

    /// Says what status an instance has whatever its liveness says, or takes that back with `None`. Durable when this
    /// returns. Holds until it is taken back, over restarts and registrations. The instance must be registered.
    pub async fn set_override(&self, id: &InstanceId, status: Option<Status>) -> Result<()> {
        self.say(Target::Instance(id.clone()), status).await
    }

    /// The same for all instances of a service, present and future, but those of which something else is said.
    pub async fn set_service_override(&self, service: &ServiceName, status: Option<Status>) -> Result<()> {
        self.say(Target::Service(service.clone()), status).await
    }

    async fn say(&self, target: Target, status: Option<Status>) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.words.send(Word { target, status, done }).await.map_err(|_| Error::Stopping)?;
        answer.await.map_err(|_| Error::Stopping)?
    }

    fn take_out(&self, id: &InstanceId, asker: Asker) -> Result<()> {
        self.shared.step(|state, _| -> Result<((), Changed)> { Ok(((), state.deregister(id, asker)?)) })
    }

    fn rows(&self, service: &ServiceName) -> Rows {
        self.shared
            .read(|state| (service.clone(), state.overrides().of_service(service), state.rows(service)))
    }

    fn summary(&self, (name, said, rows): Rows) -> ServiceSummary {
        let now = self.shared.now().instant;
        let views = rows.into_iter().map(|(record, said)| record.to_view(said, now)).collect();
        ServiceSummary::new(name, said, views)
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

/// Takes off up to a sixteenth; `random` is between 0 and 1.
fn shorten(wait: Duration, random: f64) -> Duration {
    wait.mul_f64(1.0 - random.clamp(0.0, 1.0) / 16.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_little_shorter_and_never_longer() {
        let wait = Duration::from_secs(16);
        assert_eq!(shorten(wait, 0.0), wait);
        assert_eq!(shorten(wait, 1.0), Duration::from_secs(15));
        assert_eq!(shorten(Duration::ZERO, 1.0), Duration::ZERO);
    }
}
