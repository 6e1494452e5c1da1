//! What can be called.

use std::sync::Arc;

use trellis_core::ServiceName;
use trellis_core::model::{self, ClusterEndpoint};
use trellis_resilience::balance;

use super::captures::Params;
use super::{Key, View};

/// Something that can be called; routes hold its index in the table. Equal upstreams of two tables are the same, and
/// keep their connections and all that is known of their instances.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Upstream {
    /// How it is called. What it leaves to `[gateway]` is not filled in: a change there keeps what is known here. A
    /// service without a cluster of its own has all defaults.
    pub(crate) settings: Arc<model::Cluster>,
    /// What equal requests have in common, for balancing by hash.
    pub(crate) hash: Option<Key>,
}

/// Where an upstream's instances are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source<'u> {
    /// The registry.
    Service(&'u ServiceName),
    /// The file.
    Fixed(&'u [ClusterEndpoint]),
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
