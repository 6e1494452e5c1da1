//! Sums without rounding: cents inside, a decimal number on the wire.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Mul};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of money in cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cents(pub i64);

impl Cents {
    /// The cents in a decimal amount; `None` if it has more than two decimals or is out of range.
    pub fn from_decimal(amount: f64) -> Option<Self> {
        let cents = (amount * 100.0).round();
        let exact = cents.abs() < 9e15 && (cents / 100.0 - amount).abs() < 1e-9 * amount.abs().max(1.0);
        exact.then_some(Self(cents as i64))
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", self.0.unsigned_abs() / 100, self.0.unsigned_abs() % 100)
    }
}

impl<'de> Deserialize<'de> for Cents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let amount = f64::deserialize(deserializer)?;
        Self::from_decimal(amount)
            .ok_or_else(|| D::Error::custom(format!("{amount} is not a whole number of cents")))
    }
}

impl Serialize for Cents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 100.0)
    }
}

impl Add for Cents {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Mul<i64> for Cents {
    type Output = Self;

    fn mul(self, times: i64) -> Self {
        Self(self.0 * times)
    }
}

impl Sum for Cents {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_decimal_number_says() {
        let read = |text: &str| serde_json::from_str::<Cents>(text).ok();
        assert_eq!(read("100.0"), Some(Cents(10_000)));
        assert_eq!(read("100"), Some(Cents(10_000)));
        assert_eq!(read("0.07"), Some(Cents(7)));
        assert_eq!(read("123456789.99"), Some(Cents(12_345_678_999)));
        assert_eq!(read("0.075"), None);
    }

    #[test]
    fn adds_without_rounding() {
        let total: Cents = std::iter::repeat_n(Cents(10), 3).sum();
        assert_eq!((total, total.to_string()), (Cents(30), "0.30".into()));
        assert_eq!((Cents(1999) * 3).to_string(), "59.97");
    }
}
