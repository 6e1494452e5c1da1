//! The rules one by one (`rules`), and all of them against naive models (`model`, `alias_model`); memory and its file
//! (`places`).

mod alias_model;
mod aliases;
mod checks;
mod model;
mod places;
mod rules;
mod topics;

use std::time::Duration;

use tokio::time::Instant;
use trellis_core::{EndpointSet, InstanceId, Status};

use super::{About, Asker, Changed, Now, Overrides, State};
use crate::error::Result;
use crate::model::names::{InstanceKey, Name, Namespace, ServiceKey};
use crate::options::Options;
use crate::registration::{Lease, Registration};
use crate::view::InstanceView;

const LEASE: Duration = Duration::from_secs(10);
const KEEP: Duration = Duration::from_mins(1);

fn options() -> Options {
    let protection = crate::ProtectionOptions { percent: 0, ..Options::default().protection };
    Options { keep_expired: KEEP, max_instances: 8, max_unknown_watches: 2, protection, ..Options::default() }
}

fn state() -> State {
    State::new(&options(), Overrides::default(), 0, Clock::new().0)
}

/// A clock that a test moves by hand.
struct Clock(Now);

impl Clock {
    fn new() -> Self {
        Self(Now { instant: Instant::now(), unix_ms: 0, random: 0.5 })
    }

    fn forward(&mut self, by: Duration) -> Now {
        let unix_ms = self.0.unix_ms + by.as_millis() as i64;
        self.0 = Now { instant: self.0.instant + by, unix_ms, ..self.0 };
        self.0
    }
}

fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

fn name(text: &str) -> ServiceKey {
    ServiceKey::of(text.parse::<Name>().unwrap())
}

fn key(text: &str) -> InstanceKey {
    InstanceKey { namespace: Namespace::default(), node: options().node.name, id: id(text) }
}

/// What tests say in short.
trait Short {
    fn add(&mut self, registration: Registration, now: Now) -> Result<Changed>;
    fn drop_as(&mut self, instance: &str, asker: Asker) -> Result<Changed>;
    fn seen(&self, instance: &str, now: Now) -> InstanceView;
    fn set_of(&mut self, service: &str) -> std::sync::Arc<EndpointSet>;
}

impl Short for State {
    fn add(&mut self, registration: Registration, now: Now) -> Result<Changed> {
        self.register(&registration, registration.lease != Lease::Managed, now)
    }

    fn drop_as(&mut self, instance: &str, asker: Asker) -> Result<Changed> {
        self.deregister(&key(instance), asker, Clock::new().0)
    }

    fn seen(&self, instance: &str, now: Now) -> InstanceView {
        InstanceView::new(&self.find(&key(instance)).expect("registered"), self, now).unwrap()
    }

    fn set_of(&mut self, service: &str) -> std::sync::Arc<EndpointSet> {
        self.endpoints(&name(service))
    }
}

/// An instance that is UP, on its own lease.
fn instance(instance: &str, service: &str) -> Registration {
    Registration {
        lease: Lease::For(LEASE),
        ..Registration::new(id(instance), name(service).name, "10.0.0.1", 80)
    }
}
