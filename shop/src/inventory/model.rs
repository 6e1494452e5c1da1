//! Articles, their stock, and reservations of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use trellis_sdk::core::error::Result;
use trellis_sdk::database::{Error, FromRow, Row};
use trellis_sdk::http::invalid;
use uuid::Uuid;

use crate::money::Money;

const MAX_AVAILABLE: i64 = 1_000_000_000;
const MAX_LINES: usize = 100;
const MAX_QUANTITY: i64 = 1000;
const MAX_SKU_LEN: usize = 64;
/// Taken by a path of its own.
const RESERVED_SKU: &str = "reservations";

/// An article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Item {
    pub(super) sku: String,
    /// Pieces that can be reserved.
    pub(super) available: i64,
    pub(super) price: Money,
}

/// What a client says of an article.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct ItemInput {
    pub(super) available: i64,
    pub(super) price: Money,
}

/// So many pieces of an article.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Line {
    pub(super) sku: String,
    pub(super) quantity: i64,
}

/// What a client wants to reserve.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ReserveInput {
    /// Chosen by the client: the same id again gets the same answer.
    pub(super) id: Uuid,
    pub(super) items: Vec<Line>,
}

/// A line that was reserved, at the price it had then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ReservedLine {
    pub(super) sku: String,
    pub(super) quantity: i64,
    pub(super) price: Money,
}

/// Whether a reservation holds stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ReservationStatus {
    Held,
    Released,
}

/// Stock set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Reservation {
    pub(super) id: Uuid,
    pub(super) status: ReservationStatus,
    pub(super) items: Vec<ReservedLine>,
    /// Of all lines, at their prices.
    pub(super) total: Money,
}

impl ItemInput {
    /// The article `sku` as the client wants it.
    pub(super) fn checked(self, sku: &str) -> Result<Item> {
        let mut mistakes = Vec::new();
        if !is_sku(sku) || sku == RESERVED_SKU {
            mistakes.push((
                "/sku".into(),
                format!("a sku has 1 to {MAX_SKU_LEN} letters, digits, dots, dashes or underscores, and is not {RESERVED_SKU:?}"),
            ));
        }
        if !(0..=MAX_AVAILABLE).contains(&self.available) {
            mistakes.push(("/available".into(), format!("available is from 0 to {MAX_AVAILABLE}")));
        }
        if !mistakes.is_empty() {
            return Err(invalid(mistakes));
        }
        Ok(Item { sku: sku.to_owned(), available: self.available, price: self.price })
    }
}

impl ReserveInput {
    /// Every mistake if there is one.
    pub(super) fn checked(self) -> Result<Self> {
        let mut mistakes = Vec::new();
        if !(1..=MAX_LINES).contains(&self.items.len()) {
            mistakes.push(("/items".into(), format!("there are 1 to {MAX_LINES} items")));
        }
        let mut seen = BTreeSet::new();
        for (index, line) in self.items.iter().enumerate().take(MAX_LINES) {
            if !(1..=MAX_QUANTITY).contains(&line.quantity) {
                mistakes.push((
                    format!("/items/{index}/quantity"),
                    format!("a quantity is from 1 to {MAX_QUANTITY}"),
                ));
            }
            if !seen.insert(&line.sku) {
                mistakes.push((
                    format!("/items/{index}/sku"),
                    "this sku is there already: add up the quantities".into(),
                ));
            }
        }
        if mistakes.is_empty() { Ok(self) } else { Err(invalid(mistakes)) }
    }
}

/// Whether an article could be called so.
fn is_sku(text: &str) -> bool {
    (1..=MAX_SKU_LEN).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

impl ReservationStatus {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Released => "released",
        }
    }
}

impl FromRow for Item {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self { sku: row.get("sku")?, available: row.get("available")?, price: row.get("price")? })
    }
}

impl FromRow for ReservedLine {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self { sku: row.get("sku")?, quantity: row.get("quantity")?, price: row.get("price")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sku: &str, quantity: i64) -> Line {
        Line { sku: sku.into(), quantity }
    }

    #[test]
    fn articles_are_checked() {
        let input = ItemInput { available: 1, price: Money::default() };
        assert!(input.checked("usb-c_2.0").is_ok());
        for sku in ["", "a b", "a/b", "ü", "reservations", &"x".repeat(65)] {
            assert!(input.checked(sku).is_err(), "{sku:?}");
        }
        for available in [-1, MAX_AVAILABLE + 1] {
            assert!(ItemInput { available, ..input }.checked("mouse").is_err());
        }
    }

    #[test]
    fn every_wrong_line_is_told() {
        let input = |items| ReserveInput { id: Uuid::nil(), items }.checked();
        assert!(input(vec![line("a", 1), line("b", 1000)]).is_ok());
        assert!(input(vec![]).is_err());
        assert!(input((0..101).map(|i| line(&i.to_string(), 1)).collect()).is_err());
        let error = input(vec![line("a", 0), line("b", 1001), line("a", 1)]).unwrap_err();
        let told = error.extensions()["errors"].to_string();
        for pointer in ["/items/0/quantity", "/items/1/quantity", "/items/2/sku"] {
            assert!(told.contains(pointer), "{told}");
        }
    }
}
