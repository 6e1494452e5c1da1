//! What can be set.

use std::time::Duration;

use trellis_core::model;

/// How long the registry waits and how much it keeps.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long an instance that registers itself stays without renewing, unless it asks for another time.
    pub lease: Duration,
    /// How long an expired instance is still listed, as DOWN, before it is removed.
    pub keep_expired: Duration,
    /// Least time between two passes over expired leases; what falls due in between is handled in one pass.
    pub reap_interval: Duration,
    /// Most instances that are kept; more are refused.
    pub max_instances: usize,
    /// Most overrides that are kept, of instances and services together; more are refused.
    pub max_overrides: usize,
    /// Most services that are watched while they have no instance; more are refused.
    pub max_unknown_watches: usize,
    /// Most requests that wait for a change at once; more are refused.
    pub max_waiters: usize,
    /// Longest that one request waits for a change; who asks for more gets this.
    pub max_wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self::from(&model::Registry::default())
    }
}

impl From<&model::Registry> for Options {
    fn from(model: &model::Registry) -> Self {
        Self {
            lease: model.lease.0,
            keep_expired: model.keep_expired.0,
            reap_interval: Duration::from_millis(250),
            max_instances: size(model.max_instances),
            max_overrides: size(model.max_overrides),
            max_unknown_watches: 1_000,
            max_waiters: size(model.max_waiters),
            max_wait: model.max_wait.0,
        }
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
