//! Amounts of money: whole minor units (cents) inside, a decimal number with at most two decimals on the wire.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use trellis_sdk::database::{FromValue, Value};

/// An amount of the shop's one currency, from 0 to [`Money::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Money(i64);

impl Money {
    /// 9 999 999 999.99: few enough digits for a JSON number, an `f64`, to carry each cent.
    pub(crate) const MAX: Self = Self(999_999_999_999);

    /// From minor units; `None` out of range.
    pub(crate) fn from_minor(minor: i64) -> Option<Self> {
        (0..=Self::MAX.0).contains(&minor).then_some(Self(minor))
    }

    /// From a number in major units; the text says what is wrong with it.
    pub(crate) fn from_number(number: f64) -> Result<Self, &'static str> {
        if !number.is_finite() {
            return Err("an amount of money is a finite number");
        }
        if number < 0.0 {
            return Err("an amount of money is not negative");
        }
        if number > Self::MAX.0 as f64 / 100.0 {
            return Err("an amount of money is at most 9999999999.99");
        }
        // The shortest text that reads back as this number is what the sender wrote; arithmetic would blur it.
        let text = number.abs().to_string();
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
        if decimals.len() > 2 {
            return Err("an amount of money has at most two decimals");
        }
        format!("{whole}{decimals:0<2}").parse().map(Self).map_err(|_| "an amount of money is a number")
    }

    /// Whole minor units.
    pub(crate) fn minor(self) -> i64 {
        self.0
    }

    /// The price of so many pieces; `None` out of range.
    pub(crate) fn times(self, quantity: i64) -> Option<Self> {
        self.0.checked_mul(quantity).and_then(Self::from_minor)
    }

    /// The sum; `None` out of range.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::from_minor)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// A column of minor units.
impl FromValue for Money {
    fn from_value(value: Value) -> Option<Self> {
        i64::from_value(value).and_then(Self::from_minor)
    }

    fn wanted() -> &'static str {
        "an amount of money in minor units"
    }
}

impl From<Money> for Value {
    fn from(money: Money) -> Self {
        Self::Int(money.0)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The division gives the double nearest to the decimal, which prints as that decimal again.
        serializer.serialize_f64(self.0 as f64 / 100.0)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNumber)
    }
}

struct AnyNumber;

impl Visitor<'_> for AnyNumber {
    type Value = Money;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount of money, such as 19.99")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Money, E> {
        Money::from_number(number).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Money, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Money, E> {
        self.visit_f64(number as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_wire_has_decimal_numbers() {
        for (minor, wire) in [(10_000, "100.0"), (2_550, "25.5"), (1_999, "19.99"), (0, "0.0"), (7, "0.07")] {
            let money = Money::from_minor(minor).unwrap();
            assert_eq!(serde_json::to_string(&money).unwrap(), wire);
            assert_eq!(serde_json::from_str::<Money>(wire).unwrap(), money);
        }
        assert_eq!(serde_json::from_str::<Money>("100").unwrap().minor(), 10_000);
        assert_eq!(serde_json::from_str::<Money>("-0.0").unwrap().minor(), 0);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for (wire, why) in [
            ("-1", "negative"),
            ("-0.01", "negative"),
            ("1.005", "two decimals"),
            ("0.001", "two decimals"),
            ("1e-7", "two decimals"),
            ("10000000000", "at most"),
            ("1e300", "at most"),
            ("\"1.00\"", "expected an amount of money"),
            ("null", "expected an amount of money"),
        ] {
            let error = serde_json::from_str::<Money>(wire).unwrap_err().to_string();
            assert!(error.contains(why), "{wire}: {error}");
        }
        assert!(Money::from_number(f64::NAN).is_err());
        assert!(Money::from_number(f64::INFINITY).is_err());
    }

    #[test]
    fn arithmetic_stays_in_range() {
        let cent = Money::from_minor(1).unwrap();
        assert_eq!(Money::MAX.plus(cent), None);
        assert_eq!(Money::MAX.times(i64::MAX), None);
        assert_eq!(cent.times(-1), None);
        assert_eq!(cent.times(3).unwrap().plus(cent), Money::from_minor(4));
        assert_eq!(Money::from_minor(-1), None);
    }

    #[test]
    fn people_read_two_decimals() {
        assert_eq!(Money(10_005).to_string(), "100.05");
    }

    proptest! {
        #[test]
        fn every_amount_survives_the_wire(minor in 0..=Money::MAX.minor()) {
            let money = Money::from_minor(minor).unwrap();
            let wire = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&wire).unwrap(), money);
        }
    }
}
