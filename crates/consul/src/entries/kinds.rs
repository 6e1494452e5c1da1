//! What kinds of entries there are, and what is asked of them.

use serde_json::{Map, Value};

use super::chain::model;
use super::{gateways, intentions};
use crate::kept::Kept;
use crate::refusal::{Refusal, Reply};

/// Every kind that clients may write, with the only name that it may have, if there is one.
const KINDS: [(&str, Option<&str>); 16] = [
    ("service-defaults", None),
    ("proxy-defaults", Some("global")),
    ("service-router", None),
    ("service-splitter", None),
    ("service-resolver", None),
    ("service-intentions", None),
    ("ingress-gateway", None),
    ("terminating-gateway", None),
    ("api-gateway", None),
    ("http-route", None),
    ("tcp-route", None),
    ("inline-certificate", None),
    ("file-system-certificate", None),
    ("jwt-provider", None),
    ("mesh", Some("mesh")),
    ("exported-services", Some("default")),
];
/// Names of fields that all entries have.
const COMMON: [&str; 5] = ["Kind", "Name", "Namespace", "Partition", "Meta"];

/// Refuses what is no kind.
pub(super) fn check_kind(kind: &str) -> Reply<()> {
    let known = KINDS.iter().any(|(known, _)| *known == kind);
    if known { Ok(()) } else { Err(Refusal::bad(format!("invalid config entry kind: {kind}"))) }
}

/// An entry with its common fields as Consul spells them; the others stay as they came. What the door itself makes use of
/// has to be right, the rest is the client's.
pub(super) fn read(given: Map<String, Value>) -> Reply<Map<String, Value>> {
    let mut entry: Map<String, Value> = given.into_iter().map(|(name, value)| (spelt(name), value)).collect();
    for name in ["Namespace", "Partition"] {
        let value = entry.remove(name).unwrap_or_default();
        if !matches!(value.as_str(), None | Some("" | "default")) {
            return Err(Refusal::unsupported(format!(
                "{name} of an entry: entries belong to the whole platform"
            )));
        }
    }
    let text = |entry: &Map<String, Value>, name: &str| match entry.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(Refusal::bad(format!("Request decoding failed: {name} is not a string"))),
    };
    let kind = text(&entry, "Kind")?;
    check_kind(&kind)?;
    let mut name = text(&entry, "Name")?;
    let only = KINDS.iter().find(|(known, _)| *known == kind).and_then(|(_, only)| *only);
    match only {
        Some(only) if name.is_empty() && kind == "mesh" => only.clone_into(&mut name),
        Some(only) if name != only => {
            return Err(Refusal::bad(format!("invalid name ({name:?}), only {only:?} is supported")));
        }
        _ if name.is_empty() => return Err(Refusal::bad("Name is required")),
        _ => {}
    }
    entry.insert("Kind".into(), kind.as_str().into());
    entry.insert("Name".into(), name.into());
    if kind == intentions::KIND {
        return intentions::normal(entry);
    }
    let entry = Kept::new(entry);
    match kind.as_str() {
        gateways::INGRESS_KIND | gateways::TERMINATING_KIND => {
            gateways::links(&entry)?;
        }
        "service-router" => {
            model::Router::read(&entry)?;
        }
        "service-splitter" => {
            model::Splitter::read(&entry)?;
        }
        "service-resolver" => {
            model::Resolver::read(&entry)?;
        }
        _ => {}
    }
    Ok(entry.object)
}

fn spelt(name: String) -> String {
    let known = COMMON.iter().find(|known| known.eq_ignore_ascii_case(&name));
    known.map_or(name, |known| (*known).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(entry: Value) -> Result<Value, String> {
        let Value::Object(entry) = entry else { panic!("no object") };
        read(entry).map(Value::Object).map_err(|refusal| refusal.text)
    }

    #[test]
    fn common_fields_are_spelt_one_way_and_the_others_stay() {
        let entry = written(
            json!({"kind": "service-defaults", "name": "Web", "namespace": "default", "my_own": {"a_b": 1}}),
        );
        assert_eq!(entry, Ok(json!({"Kind": "service-defaults", "Name": "Web", "my_own": {"a_b": 1}})));
        assert_eq!(written(json!({"Kind": "mesh"})), Ok(json!({"Kind": "mesh", "Name": "mesh"})));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (entry, wanted) in [
            (json!({}), "invalid config entry kind: "),
            (json!({"Kind": "odd", "Name": "a"}), "invalid config entry kind: odd"),
            (json!({"Kind": "service-defaults"}), "Name is required"),
            (json!({"Kind": "service-defaults", "Name": 1}), "Request decoding failed: Name"),
            (json!({"Kind": "proxy-defaults", "Name": "a"}), "invalid name (\"a\"), only \"global\""),
            (json!({"Kind": "mesh", "Partition": "b"}), "Partition of an entry"),
            (
                json!({"Kind": "ingress-gateway", "Name": "a", "Listeners": [{"Port": 0}]}),
                "Port of Listeners",
            ),
            (json!({"Kind": "service-splitter", "Name": "a", "Splits": [{"Weight": 60}]}), "the sum of all"),
            (json!({"Kind": "service-resolver", "Name": "a", "DefaultSubset": "v9"}), "DefaultSubset"),
            (json!({"Kind": "service-router", "Name": "a", "Routes": {}}), "Request decode failed: Routes"),
        ] {
            let text = written(entry.clone()).unwrap_err();
            assert!(text.starts_with(wanted), "{entry}: {text}");
        }
    }
}
