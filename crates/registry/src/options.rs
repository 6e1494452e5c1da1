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
    /// Time from a pass over leases and TTLs in which some have ended to the next: what ends in between is told in one
    /// piece. A pass that found nothing to tell is followed by the next as soon as that is due.
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
            reap_interval: Duration::from_millis(50),
            max_instances: size(model.max_instances),
            max_overrides: size(model.max_overrides),
            max_unknown_watches: 1_000,
            max_waiters: size(model.max_waiters),
            max_wait: model.max_wait.0,
            node: NodeRegistration::new(Name::new_or_own(&model.node), model.address.as_str()),
            max_nodes: size(model.max_nodes),
            max_services: size(model.max_services),
            max_checks: size(model.max_checks),
            max_tags: size(model.max_tags),
            max_topics: size(model.max_topics),
            max_cached_bytes: size(model.max_cached_bytes),
            max_changes: size(model.max_changes),
            max_parallel_checks: size(model.max_parallel_checks),
            min_check_interval: model.min_check_interval.0,
            commands: model.commands,
            protection: ProtectionOptions {
                percent: model.protect_percent,
                min_instances: size(model.protect_min),
                window: model.protect_window.0,
                hold: model.protect_hold.0,
            },
        }
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
