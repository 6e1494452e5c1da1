//! `[config]`: versioned configuration and the key-value space.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::HumanDuration;

/// `[config]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Most versions that are kept of each key; the oldest are dropped.
    #[schemars(range(min = 1, max = 100_000))]
    pub history: u32,
    /// Most configuration keys, deleted ones included; more are refused.
    pub max_keys: u32,
    /// Most keys of the key-value space; more are refused.
    pub max_kv_keys: u32,
    /// Most sessions; more are refused.
    pub max_sessions: u32,
    /// Largest configuration value, in bytes.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_value: u32,
    /// Most operations of one transaction.
    #[schemars(range(min = 1, max = 1024))]
    pub max_ops: u32,
    /// Most deleted keys of the key-value space that are remembered for those who wait.
    pub max_tombstones: u32,
    /// Most entries of the audit; the oldest are dropped.
    #[schemars(range(min = 1))]
    pub max_audit: u32,
    /// Most requests that wait for a change at once; more are refused.
    pub max_waiters: u32,
    /// Longest that one request waits for a change; who asks for more gets this.
    pub max_wait: HumanDuration,
    /// Most bytes of answers that are kept for those who follow the same keys.
    pub max_cached_bytes: u32,
    /// Whether secrets are shown to programs on this machine that ask for it. Without it nobody gets them, services
    /// included.
    pub allow_reveal: bool,
    /// File with the keys that seal secrets, one `id:base64` a line, the newest last. Without it secrets are refused,
    /// unless the environment variable `TRELLIS_SECRET_KEYS` has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub secret_keys: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            history: 100,
            max_keys: 100_000,
            max_kv_keys: 1_000_000,
            max_sessions: 100_000,
            max_value: 512 << 10,
            max_ops: 128,
            max_tombstones: 10_000,
            max_audit: 100_000,
            max_waiters: 10_000,
            max_wait: HumanDuration::from_secs(600),
            max_cached_bytes: 16 << 20,
            allow_reveal: false,
            secret_keys: None,
        }
    }
}
