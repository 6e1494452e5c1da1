//! What can be set.

use std::time::Duration;

use trellis_core::model;

use crate::versioned::seal::Keys;

/// How much is kept and how long is waited.
#[derive(Debug, Clone)]
pub struct Options {
    /// Most versions that are kept of each configuration key; the oldest are dropped.
    pub history: u32,
    /// Most configuration keys, deleted ones included; more are refused.
    pub max_keys: usize,
    /// Most keys of the key-value space; more are refused.
    pub max_kv_keys: usize,
    /// Most sessions; more are refused.
    pub max_sessions: usize,
    /// Largest configuration value, in bytes.
    pub max_value: usize,
    /// Most operations of one transaction.
    pub max_ops: usize,
    /// Most deleted keys of the key-value space that are remembered; the oldest are forgotten.
    pub max_tombstones: usize,
    /// Most entries of the audit; the oldest are dropped.
    pub max_audit: u32,
    /// Most requests that wait for a change at once; more are refused.
    pub max_waiters: usize,
    /// Longest that one request waits for a change; who asks for more gets this.
    pub max_wait: Duration,
    /// Most bytes of answers that are kept for those who follow the same keys; the oldest are dropped.
    pub max_cached_bytes: usize,
    /// How often sessions of dead nodes are looked for, beside at once when a node comes or goes.
    pub adopt_every: Duration,
    /// Whether secrets are shown to programs on this machine that ask for it.
    pub allow_reveal: bool,
    /// What seals secrets; without it, none can be written or read.
    pub keys: Keys,
}

impl Default for Options {
    fn default() -> Self {
        Self::from(&model::Config::default())
    }
}

impl From<&model::Config> for Options {
    fn from(model: &model::Config) -> Self {
        Self {
            history: model.history,
            max_keys: size(model.max_keys),
            max_kv_keys: size(model.max_kv_keys),
            max_sessions: size(model.max_sessions),
            max_value: size(model.max_value),
            max_ops: size(model.max_ops),
            max_tombstones: size(model.max_tombstones),
            max_audit: model.max_audit,
            max_waiters: size(model.max_waiters),
            max_wait: model.max_wait.0,
            max_cached_bytes: size(model.max_cached_bytes),
            adopt_every: Duration::from_secs(5),
            allow_reveal: model.allow_reveal,
            keys: Keys::default(),
        }
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
