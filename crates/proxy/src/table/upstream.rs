//! What can be called.

use std::sync::Arc;
use std::time::Duration;

use trellis_core::model::{self, ClusterEndpoint};
use trellis_core::{HumanDuration, ServiceName};
use trellis_net::ClusterOptions;
use trellis_resilience::balance;

use super::captures::Params;
use super::{Key, View};

/// Something that can be called; routes hold its index in the table. Equal upstreams of two tables are the same, and
/// keep their connections and all that is known of their instances.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Upstream {
    /// How it is called. A service without a cluster of its own has all defaults.
    pub(crate) settings: Arc<model::Cluster>,
    /// What holds for it, though it may not say so.
    pub(crate) defaults: Defaults,
    /// What equal requests have in common, for balancing by hash.
    pub(crate) hash: Option<Key>,
}

/// What an upstream has from `[gateway]`. Only what a running cluster is made of is in here, and only what the upstream
/// does not say itself: a change of anything else must not cost it what it knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Defaults {
    breaker: Option<model::BreakerModel>,
    connect_timeout: Option<HumanDuration>,
    max_idle_connections: Option<u32>,
    connect_retries: u32,
    zone: Option<String>,
    retry: Option<model::Retry>,
    blame_after: Duration,
}

/// Where an upstream's instances are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source<'u> {
    /// The registry.
    Service(&'u ServiceName),
    /// The file.
    Fixed(&'u [ClusterEndpoint]),
}

impl Defaults {
    pub(crate) fn of(cluster: &model::Cluster, gateway: &model::Gateway) -> Self {
        let unsaid = |is_said: bool| (!is_said).then_some(gateway);
        let retry = unsaid(cluster.retry.is_some()).and_then(|gateway| gateway.retry.as_ref());
        Self {
            breaker: unsaid(cluster.breaker.is_some()).map(|gateway| gateway.breaker.clone()),
            connect_timeout: unsaid(cluster.connect_timeout.is_some()).map(|gateway| gateway.connect_timeout),
            max_idle_connections: unsaid(cluster.max_idle_connections.is_some())
                .map(|gateway| gateway.max_idle_connections),
            connect_retries: gateway.connect_retries,
            zone: gateway.zone.clone(),
            retry: retry.cloned(),
            blame_after: ClusterOptions::blame_after(cluster.timeout.unwrap_or(gateway.timeout).into()),
        }
    }
}

impl Upstream {
    pub(crate) fn name(&self) -> &ServiceName {
        &self.settings.name
    }

    /// What keeps a request at the same instance as those of the same key.
    pub(crate) fn hash_of(&self, view: &View<'_>, params: &Params<'_>) -> Option<u64> {
        let key = self.hash.as_ref()?.of(view, params)?;
        Some(balance::hash(key.as_bytes()))
    }

    pub(crate) fn source(&self) -> Source<'_> {
        match &self.settings.service {
            Some(service) => Source::Service(service),
            None => Source::Fixed(&self.settings.endpoints),
        }
    }
}
