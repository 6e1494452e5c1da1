//! What a `[[route]]` does besides leading to one service: `redirect`, `respond`, `split`, `canary`, `mirror`, headers

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ServiceName, Share};

/// `request_headers`, `response_headers`: removed first, then set, then added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderEdits {
    /// Headers that get this value in place of those they have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Headers that get this value beside those they have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<String, String>,
    /// Headers that are taken out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// `redirect`: the client is sent elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    #[serde(default = "permanent")]
    #[schemars(range(min = 301, max = 308))]
    pub status: u16,
    /// Where to: a URL or a path, in which `{host}`, `{path}`, `{query}` and the parameters of the route's path stand
    /// for what the request has.
    pub to: String,
}

/// `respond`: the gateway answers itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Respond {
    /// Status of the answer, 200 to 599.
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// Body of the answer.
    pub body: String,
    /// Its `Content-Type`.
    pub content_type: String,
}

/// An item of `split`; exactly one of `service` and `cluster`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weighted {
    /// A service of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// A `[[cluster]]` of this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ServiceName>,
    /// Share of requests relative to the other items; 0 takes none.
    #[serde(default = "one")]
    #[schemars(range(max = 1_000_000))]
    pub weight: u32,
}

/// An item of `canary`: exactly one of `service` and `cluster`, for requests that fulfil all of what is given of
/// `header`, `cookie` and `when`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// A service of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// A `[[cluster]]` of this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ServiceName>,
    /// Headers that it has: a value, `*` for any, `~` and a regular expression for the whole value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, String>,
    /// Cookies that it has, in the same forms.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cookie: BTreeMap<String, String>,
    /// CEL condition over the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// `mirror`: copies of requests go to a second place, whose answers nobody sees; exactly one of `service` and `cluster`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// A service of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// A `[[cluster]]` of this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ServiceName>,
    /// Share of the requests that are copied.
    #[serde(default = "everything")]
    pub share: Share,
    /// Requests with a longer body are not copied, in bytes.
    #[serde(default = "mirrored_bytes")]
    #[schemars(range(max = 16_777_216))]
    pub max_body_bytes: u64,
}

impl Default for Respond {
    fn default() -> Self {
        Self { status: 200, body: String::new(), content_type: "text/plain; charset=utf-8".into() }
    }
}

fn permanent() -> u16 {
    308
}

fn one() -> u32 {
    1
}

fn everything() -> Share {
    Share::ALL
}

fn mirrored_bytes() -> u64 {
    64 << 10
}
