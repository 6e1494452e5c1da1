//! What an order is, and what a client asks for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use trellis_sdk::core::error::Result;
use trellis_sdk::database::{Error, FromRow, Row};
use trellis_sdk::http::invalid;

use crate::hex;
use crate::money::Money;
use crate::token::Token;

const MAX_LINES: usize = 100;
const MAX_QUANTITY: i64 = 1000;
const MAX_SKU_LEN: usize = 64;

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// It is being placed.
    Pending,
    /// It is paid for.
    Completed,
    /// It came to nothing, or was given back.
    Cancelled,
}

/// An order as it appears in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) id: i64,
    pub(super) user_id: i64,
    pub(super) amount: Money,
    pub(super) status: Status,
}

/// So many pieces of an article in an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) sku: String,
    pub(super) quantity: i64,
    /// Of one piece; unknown until the stock is reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) price: Option<Money>,
}

/// An order with its items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OrderDetail {
    #[serde(flatten)]
    pub(super) order: Order,
    /// Why it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) items: Vec<Item>,
}

/// So many pieces of an article, as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) sku: String,
    pub(super) quantity: i64,
}

/// What a client wants to buy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct NewOrder {
    pub(super) user_id: i64,
    pub(super) items: Vec<Line>,
    pub(super) payment_token: Token,
}

/// What the order costs, once the stock is reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quote {
    /// Of one piece, line by line.
    pub(super) prices: Vec<Money>,
    pub(super) total: Money,
}

impl Status {
    const ALL: [Self; 3] = [Self::Pending, Self::Completed, Self::Cancelled];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl NewOrder {
    /// Every mistake if there is one.
    pub(super) fn checked(self) -> Result<Self> {
        let mut mistakes = Vec::new();
        if !(1..=MAX_LINES).contains(&self.items.len()) {
            mistakes.push(("/items".into(), format!("an order has 1 to {MAX_LINES} items")));
        }
        let mut seen = BTreeSet::new();
        for (index, line) in self.items.iter().enumerate().take(MAX_LINES) {
            if !(1..=MAX_QUANTITY).contains(&line.quantity) {
                mistakes.push((
                    format!("/items/{index}/quantity"),
                    format!("a quantity is from 1 to {MAX_QUANTITY}"),
                ));
            }
            if !(1..=MAX_SKU_LEN).contains(&line.sku.len()) {
                mistakes.push((
                    format!("/items/{index}/sku"),
                    format!("a sku has 1 to {MAX_SKU_LEN} characters"),
                ));
            }
            if !seen.insert(&line.sku) {
                mistakes.push((
                    format!("/items/{index}/sku"),
                    "this sku is there already: add up the quantities".into(),
                ));
            }
        }
        if !self.payment_token.is_plausible() {
            mistakes.push((
                "/payment_token".into(),
                format!("a payment token has 1 to {} bytes", Token::MAX_LEN),
            ));
        }
        if mistakes.is_empty() { Ok(self) } else { Err(invalid(mistakes)) }
    }

    /// Tells requests apart without keeping them: a hash does not give the token away.
    pub(super) fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.user_id.to_be_bytes());
        hash.update((self.items.len() as u64).to_be_bytes());
        for line in &self.items {
            hash.update(line.quantity.to_be_bytes());
            hash.update((line.sku.len() as u64).to_be_bytes());
            hash.update(&line.sku);
        }
        hash.update(self.payment_token.reveal());
        hex::encode(&hash.finalize())
    }
}

impl FromRow for Order {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let status: String = row.get("status")?;
        let status = Status::ALL.into_iter().find(|known| known.as_str() == status);
        Ok(Self {
            id: row.get("id")?,
            user_id: row.get("user_id")?,
            amount: row.get("amount")?,
            status: status.ok_or_else(|| Error::Decode("an order's status is not known".into()))?,
        })
    }
}

/// Without its items, which are in a table of their own.
impl FromRow for OrderDetail {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self { order: Order::from_row(row)?, reason: row.get("reason")?, items: Vec::new() })
    }
}

impl FromRow for Item {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self { sku: row.get("sku")?, quantity: row.get("quantity")?, price: row.get("price")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(items: &[(&str, i64)], token: &str) -> NewOrder {
        let items =
            items.iter().map(|(sku, quantity)| Line { sku: (*sku).into(), quantity: *quantity }).collect();
        NewOrder { user_id: 1, items, payment_token: Token::new(token) }
    }

    #[test]
    fn every_mistake_is_told() {
        assert!(order(&[("a", 1), ("b", 1000)], "tok_ok").checked().is_ok());
        assert!(order(&[], "tok_ok").checked().is_err());
        let error = order(&[("a", 0), ("", 1), ("c", 1001), ("a", 2)], "").checked().unwrap_err();
        let told = error.extensions()["errors"].to_string();
        for pointer in
            ["/items/0/quantity", "/items/1/sku", "/items/2/quantity", "/items/3/sku", "/payment_token"]
        {
            assert!(told.contains(pointer), "{told}");
        }
        let names: Vec<String> = (0..101).map(|i| i.to_string()).collect();
        let many: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        assert!(order(&many, "tok_ok").checked().is_err());
        assert!(order(&many[..100], "tok_ok").checked().is_ok());
    }

    #[test]
    fn the_fingerprint_tells_requests_apart() {
        let first = order(&[("a", 1)], "tok_ok").fingerprint();
        assert_eq!(first, order(&[("a", 1)], "tok_ok").fingerprint());
        for other in
            [order(&[("a", 2)], "tok_ok"), order(&[("b", 1)], "tok_ok"), order(&[("a", 1)], "tok_declined")]
        {
            assert_ne!(first, other.fingerprint());
        }
        assert!(!first.contains("tok"));
    }

    #[test]
    fn an_order_looks_as_agreed() {
        let amount = Money::from_minor(10_000).unwrap();
        let order = Order { id: 1, user_id: 1, amount, status: Status::Completed };
        let wire = r#"{"id":1,"user_id":1,"amount":100.0,"status":"completed"}"#;
        assert_eq!(serde_json::to_string(&order).unwrap(), wire);
        let detail = OrderDetail {
            order,
            reason: None,
            items: vec![Item { sku: "keyboard".into(), quantity: 1, price: None }],
        };
        let text = serde_json::to_string(&detail).unwrap();
        assert_eq!(serde_json::from_str::<OrderDetail>(&text).unwrap(), detail);
    }
}
