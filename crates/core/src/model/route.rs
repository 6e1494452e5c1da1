//! `[[route]]`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Aggregate, Canary, Compression, Cors, Fault, HeaderEdits, Mirror, RateLimit, Redirect, Respond, Retry,
    Weighted,
};
use crate::{HumanDuration, ServiceName};

/// `[[route]]`: which requests it takes, and what becomes of them. Exactly one of `path` and `regex`; exactly one of
/// `service`, `cluster`, `split`, `aggregate`, `redirect` and `respond`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// `/exact/path`, or `/prefix/**` for the prefix itself and everything below it. `{id}` stands for any one segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^/"))]
    pub path: Option<String>,
    /// A regular expression for the whole path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// Hosts that are taken: `shop.example`, or `*.shop.example` for all below it; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Methods that are taken; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Headers that a request must have: a value, `*` for any, `~` and a regular expression for the whole value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Query parameters that it must have, in the same forms.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// CEL condition over the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,

    /// A service of the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// A `[[cluster]]` of this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ServiceName>,
    /// Several of them, each with its share of the requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<Weighted>,
    /// Answers from several services at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<Aggregate>,
    /// Sends the client elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
    /// An answer of the gateway's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub respond: Option<Respond>,

    /// CEL expression over the request: equal keys stay with the same item of `split`. By chance if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<String>,
    /// Where some of the requests go instead; the first that fits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub canary: Vec<Canary>,
    /// Where copies of requests go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,

    /// Path sent on instead. `**` and `{id}` stand for what they matched in `path`; `{1}` and `{name}` for the groups
    /// of `regex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^/"))]
    pub rewrite: Option<String>,
    /// `Host` sent on instead; the instance's own if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_rewrite: Option<String>,
    /// Changes to the headers that are sent on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<HeaderEdits>,
    /// Changes to the headers of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_headers: Option<HeaderEdits>,

    /// Longest wait for an answer to begin; the cluster's or `[gateway] timeout` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HumanDuration>,
    /// Largest request body, in bytes; `[gateway] max_body_bytes` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u64>,
    /// Most requests at once, more are refused with 503; no limit of its own if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_requests: Option<u32>,
    /// When a request is tried again; the cluster's or `[gateway.retry]` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How many requests are taken; all of the limits hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limit: Vec<RateLimit>,
    /// What goes wrong on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// What scripts of other origins may ask; `[gateway.cors]` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Which answers are compressed; `[gateway.compression]` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Whether a WebSocket may be opened; true if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websocket: Option<bool>,
}
