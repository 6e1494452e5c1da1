//! Parts of a whole.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A part of a whole, from 0 (nothing) to 1 (everything): `0.25` is a quarter.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0.0);
    /// Everything.
    pub const ALL: Self = Self(1.0);

    /// A whole number of hundredths; more than 100 are everything.
    pub const fn percent(percent: u8) -> Self {
        if percent > 100 { Self::ALL } else { Self(percent as f64 / 100.0) }
    }

    /// As a number from 0 to 1.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// Whether this share of all draws includes `draw`, which is random in `0.0..1.0`.
    pub fn includes(self, draw: f64) -> bool {
        draw < self.0
    }
}

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        // Adding 0 makes -0 a 0: equal shares are the same bits.
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value + 0.0))
        } else {
            Err(format!("{value} is not from 0 to 1"))
        }
    }
}

/// No share is NaN, and 0 has one sign.
impl Eq for Share {}

impl Hash for Share {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Share {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_of_a_whole_are_shares() {
        for good in [0.0, -0.0, 0.3, 1.0] {
            assert!(Share::try_from(good).is_ok(), "{good}");
        }
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Share::try_from(bad).is_err(), "{bad}");
        }
        assert_eq!(Share::percent(25).get().to_bits(), 0.25_f64.to_bits());
        assert_eq!(Share::try_from(-0.0).map(|share| share.get().to_bits()), Ok(0));
    }

    #[test]
    fn nothing_includes_no_draw_and_everything_all() {
        for draw in [0.0, 0.5, 0.999_999] {
            assert!(!Share::NONE.includes(draw) && Share::ALL.includes(draw), "{draw}");
        }
        assert!(Share::percent(50).includes(0.49) && !Share::percent(50).includes(0.5));
    }
}
