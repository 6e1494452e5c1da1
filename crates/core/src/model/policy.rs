//! What is done about failures: `retry` and `breaker`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HumanDuration, Share};

/// `retry`: when a request is tried again, on another instance if there is one. Only requests whose body is kept and
/// whose method is idempotent are, unless nothing of them can have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Most attempts after the first; 0 tries nothing again.
    #[schemars(range(max = 10))]
    pub max: u32,
    /// After what.
    pub on: Vec<RetryOn>,
    /// And after answers with one of these statuses, 400 to 599.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<u16>,
    /// Longest wait for the answer to one attempt to begin; the timeout of the whole if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<HumanDuration>,
    /// Wait before the second attempt. Doubles each time, with jitter.
    pub backoff: HumanDuration,
    /// Longest such wait.
    pub max_backoff: HumanDuration,
    /// Longest `Retry-After` of an answer that is waited for; an answer that asks for more is passed on.
    pub max_retry_after: HumanDuration,
    /// Most attempts that are not the first, as a share of the requests.
    pub budget: Share,
    /// Attempts in each second that are allowed beside the budget.
    #[schemars(range(max = 1_000_000))]
    pub min_per_second: u32,
    /// Methods that are not idempotent and may be tried again all the same: `POST`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
}

/// What a request may be tried again after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// No connection could be made.
    Connect,
    /// The instance refused it unread (HTTP/2 `REFUSED_STREAM`, or GOAWAY before it).
    Refused,
    /// The connection broke before an answer began.
    Reset,
    /// It was answered with 502, 503 or 504.
    Gateway,
    /// `per_try_timeout` ended.
    Timeout,
}

/// `breaker`: one breaker for each instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerModel {
    /// Failures in a row that open it.
    #[schemars(range(min = 1))]
    pub failures: u32,
    /// How long it stays open before it lets probes through.
    pub open_for: HumanDuration,
    /// Probes at once while half-open.
    #[schemars(range(min = 1))]
    pub probes: u32,
    /// Probes that must succeed to close it.
    #[schemars(range(min = 1))]
    pub successes: u32,
    /// Opens it as well when too large a share fails; only failures in a row count if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<BreakerWindow>,
}

/// `breaker.window`: failures as a share of the last requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerWindow {
    /// How far it looks back.
    pub period: HumanDuration,
    /// Fewer requests than this in the period say nothing.
    #[schemars(range(min = 1))]
    pub min_requests: u32,
    /// Share of them that fails when it opens.
    pub failure_share: Share,
}

impl Default for Retry {
    fn default() -> Self {
        use RetryOn::{Connect, Gateway, Refused, Reset, Timeout};
        Self {
            max: 2,
            on: vec![Connect, Refused, Reset, Gateway, Timeout],
            statuses: Vec::new(),
            per_try_timeout: None,
            backoff: HumanDuration::from_millis(25),
            max_backoff: HumanDuration::from_millis(250),
            max_retry_after: HumanDuration::from_secs(1),
            budget: Share::percent(20),
            min_per_second: 10,
            methods: Vec::new(),
        }
    }
}

impl Default for BreakerModel {
    fn default() -> Self {
        Self { failures: 5, open_for: HumanDuration::from_secs(5), probes: 1, successes: 2, window: None }
    }
}

impl Default for BreakerWindow {
    fn default() -> Self {
        Self { period: HumanDuration::from_secs(10), min_requests: 20, failure_share: Share::percent(50) }
    }
}
