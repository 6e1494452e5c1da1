//! One instance, as the registry holds it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trellis_core::{Endpoint, ServiceInstance, ServiceName, Status};

use super::Now;
use crate::registration::{Lease, Registration};
use crate::view::InstanceView;

/// Cheap to copy: reads take a copy out of the lock and make their views from it.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// As it was registered; its status is not kept up to date, see `effective`.
    instance: Arc<ServiceInstance>,
    authority: Arc<str>,
    zone: Option<Arc<str>>,
    lease: Lease,
    reported: Status,
    /// The lease has ended; kept for a while so that people see it.
    expired: bool,
    effective: Status,
    since_unix_ms: i64,
    /// End of the lease, or, once expired, when the record is removed. `None` for a managed one.
    deadline: Option<Instant>,
}

impl Record {
    pub(super) fn new(registration: Registration, now: Now) -> Self {
        let Registration { id, service, host, port, metadata, weights, zone, status, lease, .. } = registration;
        let (host, metadata, weight) = (host.to_string(), metadata.to_map(), weights.passing);
        let zone = zone.map(|zone| zone.to_string());
        let service = service.to_service_name().expect("the door refuses others for now");
        let instance = ServiceInstance { id, service, host, port, metadata, weight, zone, status };
        let mut record = Self {
            authority: instance.authority().into(),
            zone: instance.zone.as_deref().map(Into::into),
            instance: Arc::new(instance),
            lease,
            reported: status,
            expired: false,
            effective: status,
            since_unix_ms: now.unix_ms,
            deadline: None,
        };
        record.renew(now.instant);
        record
    }

    pub(super) fn instance(&self) -> &ServiceInstance {
        &self.instance
    }

    pub(super) fn service(&self) -> &ServiceName {
        &self.instance.service
    }

    pub(super) fn is_managed(&self) -> bool {
        self.lease == Lease::Managed
    }

    pub(super) fn has_expired(&self) -> bool {
        self.expired
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn liveness(&self) -> Status {
        if self.expired { Status::Down } else { self.reported }
    }

    pub(super) fn renew(&mut self, now: Instant) {
        self.expired = false;
        self.deadline = match self.lease {
            Lease::Managed | Lease::None => None,
            Lease::For(lease) => Some(now + lease),
        };
    }

    pub(super) fn report(&mut self, status: Status) {
        self.reported = status;
    }

    pub(super) fn expire(&mut self, now: Instant, keep: Duration) {
        self.expired = true;
        // Counted from now, not from the end of the lease: a stalled platform must not skip what people should see,
        // nor the time in which the instance may come back.
        self.deadline = Some(now + keep);
    }

    /// Works out what counts, from what liveness says and what the operator said.
    pub(super) fn settle(&mut self, overridden: Option<Status>, unix_ms: i64) {
        let status = overridden.unwrap_or(self.liveness());
        if status != self.effective {
            self.effective = status;
            self.since_unix_ms = unix_ms;
        }
    }

    /// Takes over the time of an older registration if nothing that people would call a change has happened.
    pub(super) fn succeed(&mut self, old: &Self) {
        let same = self.effective == old.effective
            && self.authority == old.authority
            && self.service() == old.service();
        if same {
            self.since_unix_ms = old.since_unix_ms;
        }
    }

    /// What it adds to the endpoint set of its service.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        (self.effective == Status::Up).then(|| Endpoint {
            id: self.instance.id.clone(),
            authority: self.authority.clone(),
            weight: self.instance.weight,
            zone: self.zone.clone(),
        })
    }

    pub(crate) fn is_up(&self) -> bool {
        self.effective == Status::Up
    }

    pub(crate) fn to_instance(&self) -> ServiceInstance {
        ServiceInstance { status: self.effective, ..ServiceInstance::clone(&self.instance) }
    }

    pub(crate) fn to_view(&self, override_status: Option<Status>, now: Instant) -> InstanceView {
        let left = |end: Instant| {
            if self.expired { 0 } else { end.saturating_duration_since(now).as_millis() as u64 }
        };
        InstanceView {
            instance: self.to_instance(),
            since_unix_ms: self.since_unix_ms,
            reported: self.liveness(),
            override_status,
            expires_in_ms: self.deadline.map(left),
        }
    }
}
