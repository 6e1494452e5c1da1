//! Instances, as readers see them.

use std::sync::Arc;

use trellis_core::{InstanceId, Status};

use super::check::{CheckStatus, CheckView};
use super::labels::{Labels, Tags};
use super::names::{InstanceKey, Name, ServiceKey};
use crate::registration::{Lease, Weights};

/// What was registered. Never changed in place.
#[derive(Debug, PartialEq, Eq)]
pub struct Definition {
    /// The service it is a copy of.
    pub service: Name,
    /// Host name or address; empty: that of its node.
    pub host: Arc<str>,
    /// TCP port; 0: it has none, and is listed, but takes no traffic of the data plane.
    pub port: u16,
    /// Free words by which clients choose.
    pub tags: Tags,
    /// Free labels.
    pub metadata: Labels,
    /// Shares of traffic.
    pub weights: Weights,
    /// Failure domain, if known.
    pub zone: Option<Arc<str>>,
    /// Which version of the service it runs, if known.
    pub version: Option<Arc<str>>,
    /// Addresses by network.
    pub tagged_addresses: Labels,
    /// Someone else may change its tags (Consul's anti-entropy); kept and shown, no more.
    pub enable_tag_override: bool,
    /// Who keeps it alive.
    pub lease: Lease,
}

/// One instance at one moment, with all that its status is made of. Never changed in place.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its identity.
    pub key: InstanceKey,
    /// What was registered.
    pub definition: Arc<Definition>,
    /// What counts: the operator's override, else maintenance, else checks (its own and its node's), else what was
    /// reported, or DOWN once the lease has ended.
    pub status: Status,
    /// What it reported of itself, or DOWN once its lease has ended.
    pub reported: Status,
    /// What an operator said of this very instance. What was said of its whole service is in
    /// [`ServiceSnapshot`](crate::ServiceSnapshot).
    pub override_status: Option<Status>,
    /// It is in maintenance, and why.
    pub maintenance: Option<Arc<str>>,
    /// Its own checks, in the order in which they were given. The checks of its node are there.
    pub checks: Arc<[Arc<CheckView>]>,
    /// Its lease has ended; it is listed for a while.
    pub expired: bool,
    /// Its lease has ended together with so many others of its service that none of them is believed to be dead yet.
    pub protected: bool,
    /// The index at which it was first registered.
    pub create_index: u64,
    /// The index at which anything of it but a check's output last changed.
    pub modify_index: u64,
    /// When it was first registered, in Unix milliseconds.
    pub registered_unix_ms: i64,
    /// Since when it has this status at this address, in Unix milliseconds.
    pub since_unix_ms: i64,
}

impl Instance {
    /// Its id.
    pub fn id(&self) -> &InstanceId {
        &self.key.id
    }

    /// The service it is a copy of.
    pub fn service(&self) -> ServiceKey {
        ServiceKey { namespace: self.key.namespace.clone(), name: self.definition.service.clone() }
    }

    /// The worst that its own checks say, maintenance counted as critical.
    pub fn health(&self) -> CheckStatus {
        if self.maintenance.is_some() {
            return CheckStatus::Critical;
        }
        self.checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Passing)
    }
}
