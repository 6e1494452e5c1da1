//! The JSON Schema of `trellis.toml`: generated from the model, it is the one rule book for editors and for us.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};
use trellis_core::HumanDuration;
use trellis_core::model::AppModel;

/// Longer waits are slips, and times that far ahead cannot be computed with.
const LONGEST: Duration = Duration::from_hours(366 * 24);

const DURATION: &str = "trellis-duration";
const ADDRESS: &str = "socket-address";

/// The schema, without what only JSON has: TOML knows no `null`.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(AppModel).to_value();
    refine(&mut schema);
    for door in ["Gateway", "Tls", "Tcp", "Admin"] {
        if let Some(listen) = schema.pointer_mut(&format!("/$defs/{door}/properties/listen")) {
            listen["format"] = json!(ADDRESS);
        }
    }
    schema
}

/// Compiles `schema` into what finds every violation of it.
pub fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::options()
        .with_format(DURATION, |text: &str| text.parse::<HumanDuration>().is_ok_and(|d| d.0 <= LONGEST))
        .with_format(ADDRESS, |text: &str| text.parse::<SocketAddr>().is_ok())
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .build(schema)
        .expect("the generated schema is valid: a test compiles it")
}

/// What the schema node `node` asks for, in words.
pub fn expectation(root: &Value, node: &Value) -> String {
    let node = resolve(root, node);
    if node["title"] == "duration" {
        return "a duration of at most 366 days, such as 500ms, 30s or 5m".into();
    }
    if node["format"] == ADDRESS {
        return "an IP address and port, such as 127.0.0.1:8080".into();
    }
    if let Some(names) = choices(node) {
        return super::suggest::one_of(names);
    }
    if let Some(forms) = node["anyOf"].as_array() {
        let forms: Vec<_> = forms.iter().map(|form| expectation(root, form)).collect();
        return forms.join(" or ");
    }
    match node["type"].as_str() {
        Some("boolean") => "true or false".into(),
        Some("integer") => whole_number(node),
        Some("number") => match (node["minimum"].as_f64(), node["maximum"].as_f64()) {
            (Some(min), Some(max)) => format!("a number from {min} to {max}"),
            _ => "a number".into(),
        },
        Some("array") if node["minItems"].is_u64() => "a list with at least one item".into(),
        Some("array") => "a list".into(),
        Some("object") => "a table".into(),
        Some("string") => match node["pattern"].as_str() {
            Some("^/") => "a path that begins with `/`".into(),
            Some(_) => NAME.into(),
            None => "a text in quotes".into(),
        },
        _ => "another value".into(),
    }
}

/// What a name looks like.
pub const NAME: &str = "a name: 1 to 63 of a-z, 0-9 and `-`, with no `-` at either end";

/// The only texts that `node` takes, if it lists them.
pub fn choices(node: &Value) -> Option<Vec<&str>> {
    if let Some(options) = node["enum"].as_array() {
        return options.iter().map(Value::as_str).collect();
    }
    node["oneOf"].as_array()?.iter().map(|option| option["const"].as_str()).collect()
}

/// Follows `$ref`s within the schema.
pub fn resolve<'a>(root: &'a Value, mut node: &'a Value) -> &'a Value {
    while let Some(target) = node["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
        match root.pointer(target) {
            Some(found) => node = found,
            None => break,
        }
    }
    node
}

fn whole_number(node: &Value) -> String {
    match (node["minimum"].as_u64(), node["maximum"].as_u64()) {
        (Some(min), Some(max)) => format!("a whole number from {min} to {max}"),
        (Some(min), _) => format!("a whole number of at least {min}"),
        (None, Some(max)) => format!("a whole number of at most {max}"),
        (None, None) => "a whole number".into(),
    }
}

fn refine(node: &mut Value) {
    match node {
        Value::Object(object) => {
            remove_null(object);
            if object.get("title") == Some(&json!("duration")) {
                object.insert("format".into(), json!(DURATION));
            }
            if object.get("format") == Some(&json!("uint32")) {
                object.entry("maximum").or_insert(json!(u32::MAX));
            }
            object.values_mut().for_each(refine);
        }
        Value::Array(items) => items.iter_mut().for_each(refine),
        _ => {}
    }
}

fn remove_null(object: &mut Map<String, Value>) {
    if let Some(default) = object.get_mut("default") {
        match default {
            Value::Null => {
                object.remove("default");
            }
            Value::Object(members) => members.retain(|_, member| !member.is_null()),
            _ => {}
        }
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(options)) = object.get_mut("anyOf") {
        options.retain(|option| option != &json!({ "type": "null" }));
        if let [Value::Object(only)] = options.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_compiles_and_knows_no_null() {
        let schema = schema();
        validator(&schema);
        assert!(!schema.to_string().contains("null"), "{schema:#}");
    }

    #[test]
    fn the_defaults_satisfy_it() {
        let schema = schema();
        let mut defaults = serde_json::to_value(AppModel::default()).unwrap();
        defaults["defaults"].as_object_mut().unwrap().remove("command");
        let validator = validator(&schema);
        let errors: Vec<_> = validator.iter_errors(&defaults).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}
