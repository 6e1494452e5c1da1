//! `[route.aggregate]`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HumanDuration, ServiceName};

/// `[route.aggregate]`: parts that are fetched in parallel and put under their names into one JSON object.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Aggregate {
    /// Computed members: where they go (`stats.revenue`) and the CEL expression over the parts that gives them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub compute: BTreeMap<String, String>,
    /// What is fetched, by the member it fills.
    #[serde(flatten)]
    pub parts: BTreeMap<String, Part>,
}

/// One part of an aggregation; exactly one of `service` and `cluster`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// A service of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// A `[[cluster]]` of this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ServiceName>,
    /// Path and query to GET; the answer must be JSON.
    #[schemars(regex(pattern = "^/"))]
    pub get: String,
    /// Longest wait for the whole answer; the route's timeout if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HumanDuration>,
    /// Largest answer, in bytes.
    #[serde(default = "default_part_bytes")]
    pub max_bytes: u64,
}

fn default_part_bytes() -> u64 {
    4 << 20
}
