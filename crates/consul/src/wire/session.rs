//! Sessions.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};
use trellis_config::kv::{Behavior, Session};

use crate::request::format_duration;

/// A session.
pub(crate) struct SessionRow(pub(crate) Session);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(rename = "ID")]
    id: String,
    name: &'a str,
    node: &'a str,
    /// Nanoseconds.
    lock_delay: u64,
    behavior: Behavior,
    #[serde(rename = "TTL")]
    ttl: String,
    checks: &'a BTreeSet<String>,
    node_checks: &'a BTreeSet<String>,
    service_checks: Option<()>,
    create_index: u64,
    modify_index: u64,
}

impl Serialize for SessionRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let session = &self.0;
        let wire = Wire {
            id: session.id.to_string(),
            name: &session.name,
            node: &session.node,
            lock_delay: session.lock_delay_ms.saturating_mul(1_000_000),
            behavior: session.behavior,
            ttl: session.ttl().map(format_duration).unwrap_or_default(),
            checks: &session.checks,
            node_checks: &session.checks,
            service_checks: None,
            create_index: session.create_index,
            modify_index: session.modify_index,
        };
        wire.serialize(serializer)
    }
}
