//! What the registry shows of itself.

use std::fmt;

use serde::{Deserialize, Serialize};
use trellis_core::{InstanceId, ServiceInstance, ServiceName, Status};
use utoipa::ToSchema;

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
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(id) => write!(f, "instance {id}"),
            Self::Service(name) => write!(f, "service {name}"),
        }
    }
}

impl ServiceSummary {
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
