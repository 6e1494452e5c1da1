//! The labels in which an instance keeps what Consul's clients know of it and the registry has no field for.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use trellis_registry::{Labels, MAX_METADATA_VALUE};

/// What they all begin with. Metadata of clients may not; Consul's keys have no `.` in them.
pub(crate) const PREFIX: &str = "consul.";
/// What kind of proxy or gateway it is; a service has none.
pub(crate) const KIND: &str = "consul.kind";
/// How the proxy is configured, in JSON; what does not fit one label goes on in `consul.proxy.1` and so on.
pub(crate) const PROXY: &str = "consul.proxy";
/// Whether it needs no proxy.
pub(crate) const NATIVE: &str = "consul.native";
/// The id of the instance with which it was registered, as its sidecar.
pub(crate) const SIDECAR_OF: &str = "consul.sidecarOf";
/// The region of its locality; the zone is the registry's.
pub(crate) const REGION: &str = "consul.region";

/// The metadata that clients have given.
pub(crate) struct Meta<'a>(pub(crate) &'a Labels);

impl Serialize for Meta<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.0.iter().filter(|(key, _)| !key.starts_with(PREFIX)) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// A text in as many labels as it needs.
pub(crate) fn split(label: &str, text: &str) -> Vec<(String, String)> {
    let (mut rest, mut parts) = (text, Vec::new());
    while !rest.is_empty() {
        let mut end = rest.len().min(MAX_METADATA_VALUE);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (part, more) = rest.split_at(end);
        parts.push((numbered(label, parts.len()), part.to_owned()));
        rest = more;
    }
    parts
}

/// The text again.
pub(crate) fn joined(labels: &Labels, label: &str) -> Option<String> {
    let mut text = labels.get(label)?.to_owned();
    for number in 1.. {
        let Some(part) = labels.get(&numbered(label, number)) else { break };
        text.push_str(part);
    }
    Some(text)
}

fn numbered(label: &str, number: usize) -> String {
    if number == 0 { label.to_owned() } else { format!("{label}.{number}") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_split_is_joined_again(text in "[a-zü🦀]{0,3000}") {
            let parts: BTreeMap<_, _> = split(PROXY, &text).into_iter().collect();
            prop_assert!(parts.values().all(|part| part.len() <= MAX_METADATA_VALUE));
            let labels: Labels = parts.into();
            prop_assert_eq!(joined(&labels, PROXY).unwrap_or_default(), text);
        }
    }

    #[test]
    fn clients_see_their_own_metadata_only() {
        let labels: Labels = BTreeMap::from([(KIND, "connect-proxy"), ("a", "b")]).into();
        assert_eq!(serde_json::to_string(&Meta(&labels)).unwrap(), r#"{"a":"b"}"#);
    }
}
