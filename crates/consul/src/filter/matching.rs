//! Whether an item is what a condition asks for.

use serde_json::Value;

use super::parser::{Expression, Question};

/// Objects whose members are anybody's: one that is missing is no mistake.
const FREE: &[&str] = &[
    "Meta",
    "NodeMeta",
    "ServiceMeta",
    "TaggedAddresses",
    "ServiceTaggedAddresses",
    "Proxy",
    "ServiceProxy",
    "Connect",
    "ServiceConnect",
    "Definition",
];

impl Expression {
    pub(super) fn matches(&self, item: &Value) -> Result<bool, String> {
        match self {
            Self::And(parts) => {
                for part in parts {
                    if !part.matches(item)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(parts) => {
                for part in parts {
                    if part.matches(item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(inner) => inner.matches(item).map(|is| !is),
            Self::Is(path, question) => question.ask(path, find(item, path)?),
        }
    }
}

impl Question {
    fn ask(&self, path: &[String], value: Option<&Value>) -> Result<bool, String> {
        let wrong = |what: &str| Err(format!("{} {what}", path.join(".")));
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return Ok(matches!(self, Self::Empty));
        };
        match (self, value) {
            (Self::Equals(text), Value::String(is)) => Ok(is == text),
            (Self::Equals(text), Value::Bool(is)) => match text.parse::<bool>() {
                Ok(asked) => Ok(asked == *is),
                Err(_) => wrong("is true or false"),
            },
            (Self::Equals(text), Value::Number(is)) => match text.parse::<f64>() {
                Ok(asked) => Ok(is.as_f64() == Some(asked)),
                Err(_) => wrong("is a number"),
            },
            (Self::Equals(_), _) => wrong("cannot be compared as a whole"),
            (Self::Contains(text), Value::String(is)) => Ok(is.contains(text.as_str())),
            (Self::Contains(text), Value::Array(items)) => {
                Ok(items.iter().any(|item| item.as_str() == Some(text)))
            }
            (Self::Contains(text), Value::Object(map)) => Ok(map.contains_key(text)),
            (Self::Contains(_), _) => wrong("is neither a text nor a list nor a map"),
            (Self::Matches(regex), Value::String(is)) => Ok(regex.is_match(is)),
            (Self::Matches(_), _) => wrong("is not a text"),
            (Self::Empty, Value::String(is)) => Ok(is.is_empty()),
            (Self::Empty, Value::Array(items)) => Ok(items.is_empty()),
            (Self::Empty, Value::Object(map)) => Ok(map.is_empty()),
            (Self::Empty, _) => wrong("cannot be empty"),
        }
    }
}

fn find<'v>(item: &'v Value, path: &[String]) -> Result<Option<&'v Value>, String> {
    let (mut at, mut is_free) = (item, false);
    for name in path {
        let next = at.as_object().and_then(|map| map.get(name));
        match next {
            Some(next) => at = next,
            None if is_free => return Ok(None),
            None => return Err(format!("Selector {:?} is not valid", path.join("."))),
        }
        is_free |= FREE.contains(&name.as_str());
    }
    Ok(Some(at))
}
