//! What can be set.

use std::time::Duration;

use trellis_core::model;

use crate::model::names::Name;
use crate::model::node::NodeRegistration;

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
    /// The platform's own node.
    pub node: NodeRegistration,
    /// Most nodes that are kept; more are refused.
    pub max_nodes: usize,
    /// Most services that have instances; more are refused.
    pub max_services: usize,
    /// Most checks of one instance or node; more are refused.
    pub max_checks: usize,
    /// Most tags of one instance; more are refused.
    pub max_tags: usize,
    /// Most topics that are waited for at once; more are refused.
    pub max_topics: usize,
    /// Most bytes of answers that are kept for those who ask the same.
    pub max_cached_bytes: usize,
    /// Most changes of instances that are kept for doors that hand out differences.
    pub max_changes: usize,
    /// Most active checks that run at once; others wait for their turn.
    pub max_parallel_checks: usize,
    /// Shortest time from one question of an active check to the next; who asks for less gets this.
    pub min_check_interval: Duration,
    /// Whether checks may run commands on this machine.
    pub commands: bool,
    /// When the end of many leases at once is not believed.
    pub protection: ProtectionOptions,
}

/// When the leases of a service end in such numbers that the fault is more likely between it and the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtectionOptions {
    /// Share of the service's leased instances, in percent; 0 switches the protection off.
    pub percent: u32,
    /// As many have to be gone at least.
    pub min_instances: usize,
    /// Within this time.
    pub window: Duration,
    /// For at most so long they are held, from the first of them on.
    pub hold: Duration,
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
            node: own_node(),
            max_nodes: 10_000,
            max_services: 20_000,
            max_checks: 32,
            max_tags: 64,
            max_topics: 10_000,
            max_cached_bytes: 64 << 20,
            max_changes: 4_096,
            max_parallel_checks: 64,
            min_check_interval: Duration::from_secs(1),
            commands: false,
            protection: ProtectionOptions {
                percent: 50,
                min_instances: 3,
                window: Duration::from_secs(30),
                hold: Duration::from_secs(120),
            },
        }
    }
}

/// The name is what Consul's clients are shown; whoever runs several `trellis` on one store gives each its own.
fn own_node() -> NodeRegistration {
    NodeRegistration::new(Name::own(), "127.0.0.1")
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
