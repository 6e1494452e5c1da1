//! Ports, which are on or off.

use serde_json::Value;
use trellis_core::Error;

use super::value;

/// A port and whether it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) number: u16,
    pub(crate) enabled: bool,
}

impl Port {
    /// A port of a document; `enabled` if it does not say.
    pub(super) fn read(object: &Value, name: &str, enabled: bool) -> Result<Option<Self>, Error> {
        let Some(value) = value::member(object, name) else { return Ok(None) };
        let place = format!("instance/{name}");
        let Some(text) = value::as_text(value) else { return Err(value::wrong(&place, "a port")) };
        let number = value::number(&place, &text)?;
        let said = value::text(value, &place, "@enabled")?;
        let enabled = match said {
            Some(said) => value::flag(&format!("{place}/enabled"), &said)?,
            None => enabled,
        };
        Ok(Some(Self { number, enabled }))
    }

    /// As it is kept in a label.
    pub(crate) fn to_label(self) -> String {
        if self.enabled { self.number.to_string() } else { format!("{} off", self.number) }
    }

    /// From a label.
    pub(crate) fn from_label(text: &str) -> Option<Self> {
        let (number, enabled) = match text.strip_suffix(" off") {
            Some(number) => (number, false),
            None => (text, true),
        };
        Some(Self { number: number.parse().ok()?, enabled })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_a_port() {
        let read = |value: Value| Port::read(&json!({ "port": value }), "port", true);
        let on = Some(Port { number: 8080, enabled: true });
        for value in [
            json!(8080),
            json!("8080"),
            json!({"$": 8080}),
            json!({"$": "8080", "@enabled": "true"}),
            json!({"$": 8080, "@enabled": true}),
            json!([{"$": 8080, "@enabled": "TRUE"}]),
        ] {
            assert_eq!(read(value.clone()).unwrap(), on, "{value}");
        }
        assert_eq!(read(Value::Null).unwrap(), None);
        let off = Port { number: 8080, enabled: false };
        assert_eq!(read(json!({"$": 8080, "@enabled": "false"})).unwrap(), Some(off));
        for wrong in [
            json!(65536),
            json!(-1),
            json!("x"),
            json!({}),
            json!({"$": {}}),
            json!({"$": 1, "@enabled": "maybe"}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_label_keeps_a_port() {
        for port in [Port { number: 0, enabled: true }, Port { number: 443, enabled: false }] {
            assert_eq!(Port::from_label(&port.to_label()), Some(port));
        }
        assert_eq!(Port::from_label("x"), None);
    }
}
