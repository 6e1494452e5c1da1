//! Keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use trellis_config::kv::Entry;

/// A key; with or without its value.
pub(crate) struct KvRow {
    pub(crate) entry: Entry,
    pub(crate) with_value: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    lock_index: u64,
    key: &'a str,
    flags: u64,
    /// Null when empty, as Consul has it.
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    create_index: u64,
    modify_index: u64,
}

impl Serialize for KvRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = &self.entry;
        let value = (self.with_value && !entry.value.is_empty()).then(|| STANDARD.encode(&entry.value));
        let wire = Wire {
            lock_index: entry.lock_index,
            key: &entry.key,
            flags: entry.flags,
            value,
            session: entry.session.map(|id| id.to_string()),
            create_index: entry.create_index,
            modify_index: entry.modify_index,
        };
        wire.serialize(serializer)
    }
}
