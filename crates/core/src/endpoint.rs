//! What a balancer chooses from.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::InstanceId;

/// One address that can take a request for a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// The instance behind the address; policies keep their state (breakers, load) by this id.
    pub id: InstanceId,
    /// `host:port`, ready for a connect call and a `Host` header.
    pub authority: Arc<str>,
    /// Share of traffic relative to its siblings; 0 takes none.
    pub weight: u32,
    /// Failure domain, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Arc<str>>,
}

/// All endpoints that may take traffic for one service at one moment. Never changed in place: a change is a new set
/// with a higher revision.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct EndpointSet {
    /// Grows with each change of this service; 0 means nothing is known yet.
    pub revision: u64,
    /// In the order of their ids.
    pub endpoints: Vec<Endpoint>,
}
