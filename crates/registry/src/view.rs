//! What the registry shows of itself.

use std::fmt;

use serde::{Deserialize, Serialize};
use trellis_core::{InstanceId, ServiceInstance, ServiceName, Status};
use utoipa::ToSchema;

use crate::model::names::{InstanceKey, Name, ServiceKey};
use crate::model::snapshot::Entry;
use crate::state::{Now, State};

/// A service and its instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceSummary {
    /// Name of the service.
    #[schema(value_type = String, example = "orders")]
    pub name: ServiceName,
    /// The best status that an instance has: UP if one is up, else STARTING, else `OUT_OF_SERVICE`, else DOWN.
    #[schema(value_type = crate::door::schema::Status)]
    pub status: Status,
    /// Instances that are UP.
    pub up: usize,
    /// What an operator said of the whole service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::door::schema::Status>)]
    pub override_status: Option<Status>,
    /// All instances, in the order of their ids.
    pub instances: Vec<InstanceView>,
}

/// An instance, and why it has its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceView {
    /// The instance; its `status` is what counts.
    #[serde(flatten)]
    #[schema(value_type = crate::door::schema::ServiceInstance, inline)]
    pub instance: ServiceInstance,
    /// Since when it has this status at this address, in Unix milliseconds.
    pub since_unix_ms: i64,
    /// What liveness says: the last report, or DOWN once the lease has expired.
    #[schema(value_type = crate::door::schema::Status)]
    pub reported: Status,
    /// What an operator said of this very instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::door::schema::Status>)]
    pub override_status: Option<Status>,
    /// Milliseconds left of the lease. 0: it has expired, and the instance is removed before long. Absent: the
    /// platform runs the instance, and nothing expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
}

/// What an operator said, whether or not there is anyone it is said of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OverrideView {
    /// The instance or the service.
    #[serde(flatten)]
    #[schema(value_type = crate::door::schema::Target, inline)]
    pub target: Target,
    /// The status that wins over liveness.
    #[schema(value_type = crate::door::schema::Status)]
    pub status: Status,
    /// When it was said, in Unix milliseconds.
    pub since_unix_ms: i64,
}

/// Whom an override is about. What is said of an instance wins over what is said of its service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Target {
    /// One instance, by its id.
    Instance(InstanceId),
    /// All instances of a service, present and future.
    Service(ServiceName),
    /// An instance of another namespace or node: `namespace/node/id`.
    InstanceAt(String),
    /// A service of another namespace, or with a name that routes cannot use: `namespace/name`.
    ServiceAt(String),
}

impl Target {
    pub(crate) fn of_instance(key: &InstanceKey, own: &Name) -> Self {
        if key.namespace.is_default() && key.node == *own {
            Self::Instance(key.id.clone())
        } else {
            Self::InstanceAt(key.to_string())
        }
    }

    pub(crate) fn of_service(key: &ServiceKey) -> Self {
        match key.name.to_service_name().filter(|_| key.namespace.is_default()) {
            Some(name) => Self::Service(name),
            None => Self::ServiceAt(format!("{}/{}", key.namespace, key.name)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(id) => write!(f, "instance {id}"),
            Self::Service(name) => write!(f, "service {name}"),
            Self::InstanceAt(key) => write!(f, "instance {key}"),
            Self::ServiceAt(key) => write!(f, "service {key}"),
        }
    }
}

impl ServiceSummary {
    /// A service and its instances; `None` if it has none, or a name that routes cannot use.
    pub(crate) fn read(key: &ServiceKey, state: &mut State, now: Now) -> Option<Self> {
        let name = key.name.to_service_name()?;
        let snapshot = state.snapshot(key);
        if snapshot.entries.is_empty() {
            return None;
        }
        let mut instances: Vec<_> =
            snapshot.entries.iter().filter_map(|entry| InstanceView::new(entry, state, now)).collect();
        instances.sort_by(|a, b| a.instance.id.cmp(&b.instance.id));
        Some(Self::new(name, snapshot.override_status, instances))
    }

    pub(crate) fn new(
        name: ServiceName,
        override_status: Option<Status>,
        instances: Vec<InstanceView>,
    ) -> Self {
        let count = |status| instances.iter().filter(|i| i.instance.status == status).count();
        let best = [Status::Up, Status::Starting, Status::OutOfService].into_iter().find(|s| count(*s) > 0);
        Self { name, status: best.unwrap_or(Status::Down), up: count(Status::Up), override_status, instances }
    }
}

impl InstanceView {
    /// `None` for an instance of a service with a name that routes cannot use.
    pub(crate) fn new(entry: &Entry, state: &State, now: Now) -> Option<Self> {
        let (instance, definition) = (&entry.instance, &entry.instance.definition);
        let (id, expires_in_ms) = state.lease_of(&instance.key, now);
        Some(Self {
            instance: ServiceInstance {
                id,
                service: definition.service.to_service_name()?,
                host: entry.host().to_owned(),
                port: definition.port,
                metadata: definition.metadata.to_map(),
                weight: entry.weight(),
                zone: definition.zone.as_deref().map(Into::into),
                status: instance.status,
            },
            since_unix_ms: instance.since_unix_ms,
            reported: instance.reported,
            override_status: instance.override_status,
            expires_in_ms,
        })
    }
}
