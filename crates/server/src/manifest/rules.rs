//! Holds a manifest against the schema and says in plain words where it differs.

use std::collections::BTreeSet;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::{Location, LocationSegment};
use serde_json::Value;
use trellis_core::ServiceName;
use trellis_core::model::AppModel;

use super::mistake::{Mistake, Place};
use super::path::{Path, Segment};
use super::{schema, suggest};
use crate::secrets;

/// Longest text that is repeated in a message.
const SHOWN: usize = 60;

/// The model that `document` describes, or every way in which it describes none.
pub(crate) fn model(document: &Value) -> Result<AppModel, Vec<Mistake>> {
    let schema = schema::schema();
    let validator = schema::validator(&schema);
    let mut seen = BTreeSet::new();
    let mistakes: Vec<_> = validator
        .iter_errors(document)
        .flat_map(|error| explain(&schema, &error))
        // A text can break two rules at once; one message for it is enough.
        .filter(|mistake| seen.insert((mistake.path().cloned(), matches!(mistake.place, Place::Key(_)))))
        .collect();
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    // The schema is made from the model, so this holds; should they ever differ, the place is still named.
    serde_path_to_error::deserialize(document).map_err(|error| {
        let path = Path::parse(&error.path().to_string());
        vec![Mistake::new(Place::Value(path.clone()), format!("`{path}`: {}", error.inner()))]
    })
}

/// What a value is, for people.
pub(crate) fn found(path: &Path, value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) if items.is_empty() => "an empty list".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a table".into(),
        Value::String(text) => {
            let shown = secrets::mask(path.name(), text);
            match shown.char_indices().nth(SHOWN) {
                Some((end, _)) => format!("{}...", Value::from(&shown[..end])),
                None => Value::from(shown).to_string(),
            }
        }
    }
}

fn explain(root: &Value, error: &ValidationError<'_>) -> Vec<Mistake> {
    let path = path_of(error.instance_path());
    let keyword = error.schema_path().as_str();
    // The last step of the schema path is the keyword that was violated; the node that has it is around it.
    let node = keyword.rsplit_once('/').and_then(|(node, _)| root.pointer(node)).unwrap_or(&Value::Null);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|key| unknown_key(root, node, &path, key)).collect()
        }
        // Of several forms, the one that the value comes nearest to says what is wrong.
        ValidationErrorKind::AnyOf { context } if error.instance().is_object() => {
            let forms = node["anyOf"].as_array().into_iter().flatten();
            let near = forms.zip(context).find(|(form, _)| schema::resolve(root, form)["type"] == "object");
            near.into_iter().flat_map(|(_, errors)| errors).flat_map(|error| explain(root, error)).collect()
        }
        ValidationErrorKind::Required { property } => {
            vec![missing(root, node, &path, property.as_str().unwrap_or_default())]
        }
        _ => {
            let value = error.instance();
            let mistake = Mistake::value(path.clone(), found(&path, value), schema::expectation(root, node));
            let choices = schema::choices(schema::resolve(root, node)).unwrap_or_default();
            let mistake =
                mistake.did_you_mean(value.as_str().and_then(|text| suggest::nearest(text, choices)));
            vec![match (value.as_ref(), &schema::resolve(root, node)["type"]) {
                (Value::String(text), Value::String(wanted)) if wanted == "array" => {
                    let words: Vec<_> = text.split_whitespace().collect();
                    mistake.help(format!("write it as a list: `{}`", Value::from(words)))
                }
                _ => mistake,
            }]
        }
    }
}

fn unknown_key(root: &Value, node: &Value, table: &Path, key: &str) -> Mistake {
    let place = Place::Key(table.key(key));
    if node.get("patternProperties").is_some() {
        let valid = key.to_lowercase().replace(['_', ' ', '.'], "-");
        let valid = valid.parse::<ServiceName>().is_ok().then_some(valid);
        return Mistake::new(place, format!("`{key}` cannot be the name of a {}", table.name()))
            .expected(schema::NAME)
            .did_you_mean(valid.as_deref());
    }
    let known: Vec<_> =
        node["properties"].as_object().into_iter().flat_map(|keys| keys.keys().map(String::as_str)).collect();
    let within = if table.0.is_empty() { String::new() } else { format!(" in `{table}`") };
    let mistake =
        Mistake::new(place, format!("unknown key `{key}`{within}")).remark("nothing reads this key");
    let mistake = match (suggest::nearest(key, known.iter().copied()), table_with(root, key)) {
        (None, Some(other)) => mistake.help(format!("`{key}` is a key of {other}")),
        (candidate, _) => mistake.did_you_mean(candidate),
    };
    mistake.help(format!("known here: {}", suggest::quoted(known)))
}

/// The table that has `key`, as its documentation writes it: "`[defaults]`".
fn table_with<'a>(root: &'a Value, key: &str) -> Option<&'a str> {
    let mut tables = root["$defs"].as_object()?.values();
    let table = tables.find(|table| table["properties"].get(key).is_some())?;
    let header = table["description"].as_str()?.split(':').next()?;
    header.starts_with("`[").then_some(header)
}

fn missing(root: &Value, node: &Value, table: &Path, key: &str) -> Mistake {
    let wanted = schema::expectation(root, &node["properties"][key]);
    Mistake::new(Place::Value(table.clone()), format!("`{table}` has no `{key}`"))
        .expected(format!("`{key}`, {wanted}"))
}

fn path_of(location: &Location) -> Path {
    Path(
        location
            .iter()
            .map(|segment| match segment {
                LocationSegment::Property(key) => Segment::Key(key.into_owned()),
                LocationSegment::Index(index) => Segment::Index(index),
            })
            .collect(),
    )
}
