//! What is done at the door: `cors`, `compression`, `rate_limit`, `fault`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HumanDuration, Share};

/// `cors`: which scripts of other origins may ask, and for what. Preflights are answered by the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cors {
    /// Origins that may: `https://app.example`, or `*` for all; none if empty.
    pub origins: Vec<String>,
    /// Methods that they may use.
    pub methods: Vec<String>,
    /// Request headers that they may send; `*` for all.
    pub headers: Vec<String>,
    /// Response headers that they may read, beside the simple ones.
    pub expose: Vec<String>,
    /// Whether cookies and the like go along; not together with the origin `*`.
    pub credentials: bool,
    /// How long browsers may keep the answer to a preflight.
    pub max_age: HumanDuration,
}

/// `compression`: which answers are compressed for clients that take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Compression {
    /// Ways to do so, the best first; none if empty.
    pub algorithms: Vec<Algorithm>,
    /// Content types that are; `text/*` for all of a kind.
    pub types: Vec<String>,
    /// Shorter answers stay as they are, in bytes.
    pub min_bytes: u64,
}

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Zstandard (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Br,
    /// gzip (RFC 1952).
    Gzip,
}

/// `rate_limit`: how many requests a route takes; more are refused with 429 and `Retry-After`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// CEL expression over the request: each key has a limit of its own; one limit for the route if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Requests that are taken in each `per`.
    #[schemars(range(min = 1))]
    pub requests: u32,
    /// The time they are counted over.
    #[serde(default = "second")]
    pub per: HumanDuration,
    /// Requests that may come at once after a quiet time; as many as `requests` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub burst: Option<u32>,
    /// A `redis://` URL where all gateways count together; each counts alone if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
}

/// `fault`: what goes wrong on purpose, so that one sees what clients make of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// Wait before the request is carried; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<HumanDuration>,
    /// Share of the requests that wait.
    pub delay_share: Share,
    /// Status that is answered instead, 400 to 599; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 400, max = 599))]
    pub abort: Option<u16>,
    /// Share of the requests that are answered with it.
    pub abort_share: Share,
    /// CEL condition over the request; every request of the route if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

impl Default for Cors {
    fn default() -> Self {
        let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
        Self {
            origins: Vec::new(),
            methods: methods.map(String::from).to_vec(),
            headers: ["authorization", "content-type"].map(String::from).to_vec(),
            expose: Vec::new(),
            credentials: false,
            max_age: HumanDuration::from_secs(600),
        }
    }
}

impl Default for Compression {
    fn default() -> Self {
        let types = [
            "text/*",
            "application/json",
            "application/problem+json",
            "application/javascript",
            "application/xml",
            "application/wasm",
            "image/svg+xml",
        ];
        Self {
            algorithms: vec![Algorithm::Zstd, Algorithm::Br, Algorithm::Gzip],
            types: types.map(String::from).to_vec(),
            min_bytes: 1024,
        }
    }
}

impl Default for Fault {
    fn default() -> Self {
        Self { delay: None, delay_share: Share::ALL, abort: None, abort_share: Share::ALL, when: None }
    }
}

fn second() -> HumanDuration {
    HumanDuration::from_secs(1)
}
