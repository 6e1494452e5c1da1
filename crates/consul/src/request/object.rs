//! JSON objects whose members are found whatever their case: `ServiceID`, `serviceid` and `service_id` are one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::duration::parse_duration;
use crate::refusal::{Refusal, Reply};

/// An object, its members by their folded names. What nobody takes is ignored, as Consul does.
#[derive(Debug, Default)]
pub(crate) struct Object {
    at: String,
    members: BTreeMap<String, Value>,
}

fn fold(name: &str) -> String {
    name.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect()
}

impl Object {
    /// An object; `at` says where, for people.
    pub(crate) fn new(at: &str, value: Value) -> Reply<Self> {
        match value {
            Value::Object(map) => {
                let members = map.into_iter().map(|(name, value)| (fold(&name), value)).collect();
                Ok(Self { at: at.to_owned(), members })
            }
            Value::Null => Ok(Self::default()),
            _ => Err(Refusal::bad(format!("Request decode failed: {at} is not an object"))),
        }
    }

    /// A member; null is none.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(&fold(name)).filter(|value| !value.is_null())
    }

    /// A member that stays.
    pub(crate) fn peek(&self, name: &str) -> Option<&Value> {
        self.members.get(&fold(name)).filter(|value| !value.is_null())
    }

    /// Whether there is such a member, even one that is null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(&fold(name))
    }

    /// Puts a member in where there is none, or one that says nothing.
    pub(crate) fn put_if_absent(&mut self, name: &str, value: impl Into<Value>) {
        if self.peek(name).is_none_or(|known| known == "") {
            self.members.insert(fold(name), value.into());
        }
    }

    fn wrong(&self, name: &str, what: &str) -> Refusal {
        Refusal::bad(format!("Request decode failed: {name} of {} is not {what}", self.at))
    }

    /// A text; empty if there is none.
    pub(crate) fn text(&mut self, name: &str) -> Reply<String> {
        match self.take(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(self.wrong(name, "a string")),
        }
    }

    /// The first of several names that has a text.
    pub(crate) fn first_text(&mut self, names: &[&str]) -> Reply<String> {
        for name in names {
            let text = self.text(name)?;
            if !text.is_empty() {
                return Ok(text);
            }
        }
        Ok(String::new())
    }

    /// Yes or no; no if there is none.
    pub(crate) fn flag(&mut self, name: &str) -> Reply<bool> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&mut self, name: &str) -> Reply<Option<u64>> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => {
                value.as_u64().map(Some).ok_or_else(|| self.wrong(name, "a whole number from 0 on"))
            }
        }
    }

    /// A whole number of 32 bits.
    pub(crate) fn small(&mut self, name: &str) -> Reply<Option<u32>> {
        let number = self.number(name)?;
        number.map(|n| u32::try_from(n).map_err(|_| self.wrong(name, "a number below 2^32"))).transpose()
    }

    /// A duration: Go's text, or nanoseconds.
    pub(crate) fn duration(&mut self, name: &str) -> Reply<Option<Duration>> {
        let parsed = match self.take(name) {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => parse_duration(&text),
            Some(Value::Number(number)) => number.as_u64().map(Duration::from_nanos),
            Some(_) => None,
        };
        parsed.map(Some).ok_or_else(|| self.wrong(name, "a duration such as 10s"))
    }

    /// An object within.
    pub(crate) fn object(&mut self, name: &str) -> Reply<Option<Self>> {
        self.take(name).map(|value| Self::new(name, value)).transpose()
    }

    /// A list of anything.
    pub(crate) fn values(&mut self, name: &str) -> Reply<Vec<Value>> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.wrong(name, "a list")),
        }
    }

    /// A list of objects.
    pub(crate) fn objects(&mut self, name: &str) -> Reply<Vec<Self>> {
        self.values(name)?.into_iter().map(|item| Self::new(name, item)).collect()
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, name: &str) -> Reply<Vec<String>> {
        let list = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(self.wrong(name, "a list of strings")),
        };
        let text = |item| match item {
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(name, "a list of strings")),
        };
        list.into_iter().map(text).collect()
    }

    /// Free names and values, whose case stays as it is.
    pub(crate) fn map(&mut self, name: &str) -> Reply<BTreeMap<String, Value>> {
        match self.take(name) {
            None => Ok(BTreeMap::new()),
            Some(Value::Object(map)) => Ok(map.into_iter().collect()),
            Some(_) => Err(self.wrong(name, "an object")),
        }
    }

    /// Free names with texts.
    pub(crate) fn labels(&mut self, name: &str) -> Reply<BTreeMap<String, String>> {
        let map = self.map(name)?;
        let pair = |(key, value)| match value {
            Value::String(text) => Ok((key, text)),
            _ => Err(self.wrong(name, "an object of strings")),
        };
        map.into_iter().map(pair).collect()
    }

    /// Refuses the first of these that is there and says something.
    pub(crate) fn without(&mut self, names: &[&str], why: &str) -> Reply<()> {
        for name in names {
            let says = match self.take(name) {
                None | Some(Value::Bool(false)) => false,
                Some(Value::String(text)) => !text.is_empty(),
                Some(Value::Array(list)) => !list.is_empty(),
                Some(Value::Object(map)) => !map.is_empty(),
                Some(_) => true,
            };
            if says {
                return Err(Refusal::unsupported(format!("{name} of {}: {why}", self.at)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_found_whatever_their_case() {
        for body in [json!({"ServiceID": "a"}), json!({"service_id": "a"}), json!({"serviceid": "a"})] {
            assert_eq!(Object::new("it", body).unwrap().text("ServiceID").unwrap(), "a");
        }
        let mut meta = Object::new("it", json!({"meta": {"My_Key": "a"}})).unwrap();
        assert_eq!(meta.labels("Meta").unwrap()["My_Key"], "a");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut object =
            Object::new("the service", json!({"Port": "x", "TTL": "soon", "Kind": "proxy"})).unwrap();
        assert!(object.number("Port").unwrap_err().text.contains("Port of the service"));
        assert!(object.duration("TTL").is_err());
        assert_eq!(object.without(&["Kind"], "no").unwrap_err().status.as_u16(), 501);
    }
}
