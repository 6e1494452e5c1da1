//! Nodes: their addresses, and what is noted of them.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use trellis_registry::{Name as Called, Node};

use super::host::Host;
use super::{Found, Lookup, alias_record};
use crate::snapshots::Snapshots;

/// Longest text in one piece (RFC 1035, section 3.3).
const PIECE: usize = 255;

/// A label whose key begins like this is told without its key.
const BARE: &str = "rfc1035-";

impl<S: Snapshots> Lookup<'_, S> {
    /// A node is told of whatever its health is, as in Consul.
    pub(super) fn node(&self, node: &Called, name: &Name, kind: RecordType) -> Found {
        let Some(node) = self.snapshots.node(node) else {
            return Found::code(ResponseCode::NXDomain);
        };
        let ttl = self.zone.node_ttl;
        let host = Host::of_node(&node);
        if let Some(target) = host.full_name() {
            return Found::of([alias_record(name, ttl, target)]);
        }
        let mut found = Found::of(host.records(name, ttl, kind));
        if matches!(kind, RecordType::TXT | RecordType::ANY) {
            found.answers.extend(notes(&node).take(self.most).map(|text| text_record(name, ttl, &text)));
        }
        found
    }
}

/// Labels in the form of RFC 1464.
fn notes(node: &Node) -> impl Iterator<Item = String> {
    node.definition.metadata.iter().map(|(key, value)| {
        if key.starts_with(BARE) {
            return value.to_owned();
        }
        let mut text = String::with_capacity(key.len() + value.len() + 1);
        for c in key.chars() {
            if matches!(c, '`' | '=' | ' ' | '\t') {
                text.push('`');
            }
            text.push(c);
        }
        text.push('=');
        text.push_str(value);
        text
    })
}

fn text_record(name: &Name, ttl: u32, text: &str) -> Record {
    let mut pieces: Vec<&[u8]> = text.as_bytes().chunks(PIECE).collect();
    if pieces.is_empty() {
        pieces.push(b"");
    }
    Record::from_rdata(name.clone(), ttl, RData::TXT(TXT::from_bytes(pieces)))
}
