//! The rules one by one (`rules`), and all of them against a naive model (`model`).

mod model;
mod rules;

use std::time::Duration;

use tokio::time::Instant;
use trellis_core::{InstanceId, ServiceName, Status};

use super::{Now, Overrides, State};
use crate::options::Options;
use crate::registration::{Lease, Registration};

const LEASE: Duration = Duration::from_secs(10);
const KEEP: Duration = Duration::from_mins(1);

fn options() -> Options {
    Options { keep_expired: KEEP, max_instances: 8, max_unknown_watches: 2, ..Options::default() }
}

fn state() -> State {
    State::new(&options(), Overrides::default(), 0)
}

/// A clock that a test moves by hand.
struct Clock(Now);

impl Clock {
    fn new() -> Self {
        Self(Now { instant: Instant::now(), unix_ms: 0 })
    }

    fn forward(&mut self, by: Duration) -> Now {
        self.0 = Now { instant: self.0.instant + by, unix_ms: self.0.unix_ms + by.as_millis() as i64 };
        self.0
    }
}

fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

/// An instance that is UP, on its own lease.
fn instance(instance: &str, service: &str) -> Registration {
    Registration {
        lease: Lease::For(LEASE),
        ..Registration::new(id(instance), name(service), "10.0.0.1", 80)
    }
}
