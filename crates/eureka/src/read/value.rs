//! Values as Eureka's clients write them: numbers and flags may be texts, and one thing may be a list of one.

use serde_json::Value;
use trellis_core::{Error, Status, codes};

/// A refusal that names the place and says what would be right.
pub(crate) fn wrong(place: &str, expected: &str) -> Error {
    Error::new(codes::INVALID_INPUT, format!("{place}: expected {expected}"))
}

/// A member that is there and not null.
pub(super) fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object.get(name).map(single).filter(|value| !value.is_null())
}

fn single(value: &Value) -> &Value {
    match value.as_array().map(Vec::as_slice) {
        Some([one]) => one,
        _ => value,
    }
}

/// The text of a value, if it has one.
pub(super) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        // An element with attributes.
        Value::Object(members) => match members.get("$") {
            Some(inner @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => as_text(inner),
            _ => None,
        },
        Value::Null | Value::Array(_) => None,
    }
}

/// A text that is not empty.
pub(super) fn text(object: &Value, place: &str, name: &str) -> Result<Option<String>, Error> {
    let Some(value) = member(object, name) else { return Ok(None) };
    match as_text(value) {
        Some(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        None => Err(wrong(&format!("{place}/{name}"), "a text")),
    }
}

/// A whole number in a text.
pub(crate) fn number<T: TryFrom<i64>>(place: &str, text: &str) -> Result<T, Error> {
    let number = text.trim().parse::<i64>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| wrong(place, &format!("a whole number in range, not {text:?}")))
}

/// A flag in a text.
pub(crate) fn flag(place: &str, text: &str) -> Result<bool, Error> {
    match text.trim() {
        yes if yes.eq_ignore_ascii_case("true") => Ok(true),
        no if no.eq_ignore_ascii_case("false") => Ok(false),
        other => Err(wrong(place, &format!("true or false, not {other:?}"))),
    }
}

/// A status of Eureka's; `None` is `UNKNOWN`.
pub(crate) fn status(place: &str, text: &str) -> Result<Option<Status>, Error> {
    let known = Status::ALL.into_iter().find(|status| status.as_str() == text.trim());
    match known {
        Some(status) => Ok(Some(status)),
        None if text.trim() == "UNKNOWN" => Ok(None),
        None => Err(wrong(place, &format!("UP, DOWN, STARTING, OUT_OF_SERVICE or UNKNOWN, not {text:?}"))),
    }
}
