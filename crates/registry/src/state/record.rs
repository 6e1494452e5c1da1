//! One instance, one check, one node, one service, as the state holds them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;
use trellis_core::{Endpoint, EndpointSet, InstanceId, Status};

use crate::model::check::{CheckDefinition, CheckView};
use crate::model::instance::Instance;
use crate::model::names::{InstanceKey, Name};
use crate::model::node::Node;
use crate::model::snapshot::{NodeSnapshot, ServiceSnapshot};
use crate::policy::judge::Judge;
use crate::policy::protection::Protection;
use crate::registration::Lease;

/// Where an instance's lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It runs, or there is none.
    Live,
    /// It has ended, and is not believed to have.
    Held,
    /// It has ended; kept for a while so that people see it.
    Expired,
}

/// One instance.
#[derive(Debug)]
pub(crate) struct Record {
    /// What readers see.
    pub(super) view: Arc<Instance>,
    /// What it said of itself last.
    pub(super) said: Status,
    pub(super) phase: Phase,
    /// End of the lease; while held, when it is believed after all; once expired, when the record is removed.
    pub(super) deadline: Option<Instant>,
    /// Where it stands among the deadlines, which is not later than its deadline: a renewal does not move it.
    pub(super) scheduled: Option<Instant>,
    pub(super) checks: Vec<u32>,
    /// `host:port`, or nothing if it has no port.
    pub(super) authority: Option<Arc<str>>,
    /// Its id among the endpoints of its service.
    pub(super) endpoint_id: InstanceId,
    /// The weight with which it is an endpoint, if it is one.
    pub(super) shown: Option<u32>,
    /// It has a row in the store.
    pub(super) durable: bool,
    /// Where that row is in a file; 0 if there is none, or if others share the store.
    pub(super) place: u64,
    /// The member that looks after it; empty if nobody shares the store.
    pub(super) holder: Arc<str>,
    /// Of its row, as this memory has it; 0 if there is none yet, or if nobody shares the store.
    pub(super) revision: u64,
}

/// One check.
#[derive(Debug)]
pub(super) struct CheckRecord {
    pub(super) view: Arc<CheckView>,
    pub(super) judge: Judge,
    /// It came with the registration of its instance.
    pub(super) registered: bool,
    /// When a TTL ends.
    pub(super) deadline: Option<Instant>,
    /// Where it stands among the deadlines, which is not later than that.
    pub(super) scheduled: Option<Instant>,
    /// When the platform asks next; `None` while it asks, and for what it does not ask.
    pub(super) next: Option<Instant>,
    /// Tells this check from an earlier one in the same place.
    pub(super) generation: u64,
    pub(super) critical_since: Option<Instant>,
}

/// One node.
#[derive(Debug)]
pub(super) struct NodeEntry {
    pub(super) view: Arc<Node>,
    pub(super) members: BTreeSet<u32>,
    pub(super) checks: Vec<u32>,
    pub(super) index: u64,
    pub(super) checks_index: u64,
    pub(super) snapshot: Option<Arc<NodeSnapshot>>,
    /// The member that asks its checks.
    pub(super) holder: Arc<str>,
    pub(super) revision: u64,
}

/// The instances of one service, and the sets that are made of them.
#[derive(Debug, Default)]
pub(super) struct ServiceEntry {
    /// In the order of node and id.
    pub(super) members: Vec<u32>,
    /// Someone holds a watch, so the revision must not be lost when the last instance goes.
    pub(super) watched: bool,
    /// Of what readers see.
    pub(super) index: u64,
    /// Of its checks.
    pub(super) checks_index: u64,
    /// Of its endpoint set.
    pub(super) revision: u64,
    /// How many of its instances have a lease.
    pub(super) leased: usize,
    pub(super) protection: Option<Box<Protection>>,
    /// Made when they are first asked for, so that a burst of registrations does not copy them each time.
    pub(super) snapshot: Option<Arc<ServiceSnapshot>>,
    pub(super) endpoints: Option<Arc<EndpointSet>>,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// The lease of an instance.
    Lease(u32),
    /// The time of a TTL check.
    Ttl(u32),
}

impl Record {
    pub(super) fn key(&self) -> &InstanceKey {
        &self.view.key
    }

    pub(crate) fn lease(&self) -> Lease {
        self.view.definition.lease
    }

    pub(super) fn is_managed(&self) -> bool {
        self.lease() == Lease::Managed
    }

    pub(super) fn is_leased(&self) -> bool {
        matches!(self.lease(), Lease::For(_))
    }

    pub(super) fn liveness(&self) -> Status {
        if self.phase == Phase::Expired { Status::Down } else { self.said }
    }

    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint {
            id: self.endpoint_id.clone(),
            weight: self.shown?,
            authority: self.authority.clone()?,
            zone: self.view.definition.zone.clone(),
        })
    }
}

impl CheckRecord {
    pub(super) fn definition(&self) -> &CheckDefinition {
        &self.view.definition
    }
}

impl NodeEntry {
    pub(super) fn name(&self) -> &Name {
        self.view.name()
    }
}
