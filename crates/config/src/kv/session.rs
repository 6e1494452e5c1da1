//! Sessions: who holds locks, and how long.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DEFAULT_LOCK_DELAY, MAX_LOCK_DELAY, MAX_TTL, MIN_TTL};
use crate::error::{Error, Result};

/// Names one session.
pub type SessionId = Uuid;

/// What becomes of the keys that a session holds when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Behavior {
    /// Their locks are released.
    #[default]
    Release,
    /// They are deleted.
    Delete,
}

/// What a new session is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// For people; may be empty.
    pub name: String,
    /// The node that it belongs to; when that goes away, so does the session.
    pub node: String,
    /// The checks of the node that it depends on.
    pub checks: BTreeSet<String>,
    /// What becomes of what it holds.
    pub behavior: Behavior,
    /// It ends between once and twice this time after the last renewal; `None`: never by time.
    pub ttl: Option<Duration>,
    /// So long nobody can lock what it held when it ended. Never longer than [`MAX_LOCK_DELAY`].
    pub lock_delay: Duration,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// For people.
    pub name: String,
    /// The node that it belongs to.
    pub node: String,
    /// The checks that it depends on.
    pub checks: BTreeSet<String>,
    /// What becomes of what it holds.
    pub behavior: Behavior,
    /// Time to live, in milliseconds; 0: without end.
    pub ttl_ms: u64,
    /// Lock delay, in milliseconds.
    pub lock_delay_ms: u64,
    /// The revision that made it.
    pub create_index: u64,
    /// The revision that changed it last.
    pub modify_index: u64,
    /// The node of the control plane that counts its time.
    pub(crate) holder: String,
}

/// Why sessions end from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The node is gone.
    Node(String),
    /// A check of the node is critical or gone.
    Check {
        /// The node.
        node: String,
        /// The check's id.
        check: String,
    },
}

impl NewSession {
    /// A session of this node with the defaults: no time to live, release, 15 s of lock delay.
    pub fn of_node(node: impl Into<String>) -> Self {
        Self {
            name: String::new(),
            node: node.into(),
            checks: BTreeSet::new(),
            behavior: Behavior::default(),
            ttl: None,
            lock_delay: DEFAULT_LOCK_DELAY,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        if let Some(ttl) = self.ttl.filter(|ttl| !(MIN_TTL..=MAX_TTL).contains(ttl)) {
            let text =
                format!("Invalid Session TTL '{}', must be between 10s and 24h0m0s", ttl.as_secs_f64());
            return Err(Error::invalid("/TTL", text));
        }
        if self.lock_delay > MAX_LOCK_DELAY {
            return Err(Error::invalid("/LockDelay", "a lock delay is at most 60s"));
        }
        let names = [&self.name, &self.node].into_iter().chain(&self.checks);
        if names.into_iter().any(|name| name.len() > 512) || self.checks.len() > 64 {
            return Err(Error::invalid("", "names have at most 512 bytes, and there are at most 64 checks"));
        }
        Ok(())
    }
}

impl Session {
    pub(crate) fn new(id: SessionId, new: NewSession, index: u64, holder: &str) -> Self {
        Self {
            id,
            name: new.name,
            node: new.node,
            checks: new.checks,
            behavior: new.behavior,
            ttl_ms: millis(new.ttl.unwrap_or_default()),
            lock_delay_ms: millis(new.lock_delay),
            create_index: index,
            modify_index: index,
            holder: holder.to_owned(),
        }
    }

    /// Time to live.
    pub fn ttl(&self) -> Option<Duration> {
        (self.ttl_ms > 0).then(|| Duration::from_millis(self.ttl_ms))
    }

    /// Lock delay.
    pub fn lock_delay(&self) -> Duration {
        Duration::from_millis(self.lock_delay_ms)
    }

    pub(crate) fn depends_on(&self, cause: &Cause) -> bool {
        match cause {
            Cause::Node(node) => self.node == *node,
            Cause::Check { node, check } => self.node == *node && self.checks.contains(check),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
