//! How instances of a `[[cluster]]` are watched: `health`, `outlier`, `slow_start`, `adaptive_concurrency`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HumanDuration, Share};

/// `health`: each instance is asked whether it can serve; exactly one of `path`, `grpc` and `tcp` says how.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheck {
    /// Path that answers 2xx to GET.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^/"))]
    pub path: Option<String>,
    /// Service that the gRPC health protocol is asked about; empty for the instance as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// A connection is enough.
    pub tcp: bool,
    /// Time from one question to the next, with jitter.
    pub interval: HumanDuration,
    /// Longest wait for the answer.
    pub timeout: HumanDuration,
    /// Good answers in a row after which an instance takes traffic again.
    #[schemars(range(min = 1, max = 100))]
    pub rise: u32,
    /// Bad answers in a row after which it takes none.
    #[schemars(range(min = 1, max = 100))]
    pub fall: u32,
}

/// `outlier`: an instance that does worse than the others is left out for a while.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Outlier {
    /// Failures in a row (no answer, or a 5xx) after which it is left out.
    #[schemars(range(min = 1))]
    pub consecutive_failures: u32,
    /// How often shares are looked at and instances let back in.
    pub interval: HumanDuration,
    /// How long it is left out the first time; longer by as much each further time.
    pub base_ejection: HumanDuration,
    /// Longest time it is left out.
    pub max_ejection: HumanDuration,
    /// Largest share of the instances that is left out at once; one always may be, if there are others.
    pub max_ejected_share: Share,
    /// Share of failures in one interval after which it is left out as well; not looked at if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_share: Option<Share>,
    /// Fewer requests than this in the interval say nothing about the share.
    #[schemars(range(min = 1))]
    pub min_requests: u32,
}

/// `slow_start`: a new instance gets a growing share of its requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SlowStart {
    /// How long it takes to get its whole share.
    pub window: HumanDuration,
    /// The share it starts with.
    pub min: Share,
}

/// `adaptive_concurrency`: the number of requests at once follows how long answers take; more are refused with 503.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveConcurrency {
    /// Never fewer at once than this.
    #[schemars(range(min = 1))]
    pub min: u32,
    /// Never more.
    #[schemars(range(min = 1))]
    pub max: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            path: None,
            grpc: None,
            tcp: false,
            interval: HumanDuration::from_secs(5),
            timeout: HumanDuration::from_secs(2),
            rise: 1,
            fall: 3,
        }
    }
}

impl Default for Outlier {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            interval: HumanDuration::from_secs(10),
            base_ejection: HumanDuration::from_secs(30),
            max_ejection: HumanDuration::from_secs(300),
            max_ejected_share: Share::percent(10),
            failure_share: None,
            min_requests: 20,
        }
    }
}

impl Default for SlowStart {
    fn default() -> Self {
        Self { window: HumanDuration::from_secs(30), min: Share::percent(10) }
    }
}

impl Default for AdaptiveConcurrency {
    fn default() -> Self {
        Self { min: 4, max: 1000 }
    }
}
