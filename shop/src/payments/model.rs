//! Payments, and what may become of them.

use serde::{Deserialize, Serialize};
use trellis_sdk::core::error::Result;
use trellis_sdk::database::{Error, FromRow, Row};
use trellis_sdk::http::invalid;
use uuid::Uuid;

use crate::money::Money;
use crate::token::Token;

const MAX_REFERENCE_LEN: usize = 128;

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// The money is set aside.
    Authorised,
    /// The money is ours.
    Captured,
    /// The money was ours and was given back.
    Refunded,
    /// The money is no longer set aside.
    Voided,
    /// There is no money.
    Declined,
}

/// A payment. The token it was made with is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Payment {
    pub(super) id: Uuid,
    pub(super) reference: String,
    pub(super) amount: Money,
    pub(super) status: Status,
    #[serde(skip)]
    pub(super) tombstone: bool,
}

/// A request for money.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct AuthoriseInput {
    pub(super) reference: String,
    pub(super) amount: Money,
    pub(super) token: Token,
}

/// A request to undo whatever was paid under a reference.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct VoidInput {
    pub(super) reference: String,
}

/// What is to happen to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Take the money that is set aside.
    Capture,
    /// Give the money back, or no longer set it aside.
    Undo,
}

impl Status {
    const ALL: [Self; 5] = [Self::Authorised, Self::Captured, Self::Refunded, Self::Voided, Self::Declined];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Authorised => "authorised",
            Self::Captured => "captured",
            Self::Refunded => "refunded",
            Self::Voided => "voided",
            Self::Declined => "declined",
        }
    }

    /// The status after `action`, the same if it was done before; `None` if it cannot be done.
    pub(super) fn after(self, action: Action) -> Option<Self> {
        match (action, self) {
            (Action::Capture, Self::Authorised | Self::Captured) => Some(Self::Captured),
            (Action::Capture, _) | (Action::Undo, Self::Declined) => None,
            (Action::Undo, Self::Authorised | Self::Voided) => Some(Self::Voided),
            (Action::Undo, Self::Captured | Self::Refunded) => Some(Self::Refunded),
        }
    }
}

impl AuthoriseInput {
    /// Every mistake if there is one.
    pub(super) fn checked(self) -> Result<Self> {
        let mut mistakes = reference_mistakes(&self.reference);
        if !self.token.is_plausible() {
            mistakes.push(("/token".into(), format!("a payment token has 1 to {} bytes", Token::MAX_LEN)));
        }
        if mistakes.is_empty() { Ok(self) } else { Err(invalid(mistakes)) }
    }
}

impl VoidInput {
    /// The mistake if there is one.
    pub(super) fn checked(self) -> Result<Self> {
        let mistakes = reference_mistakes(&self.reference);
        if mistakes.is_empty() { Ok(self) } else { Err(invalid(mistakes)) }
    }
}

fn reference_mistakes(reference: &str) -> Vec<(String, String)> {
    let fits =
        (1..=MAX_REFERENCE_LEN).contains(&reference.len()) && reference.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        return Vec::new();
    }
    vec![("/reference".into(), format!("a reference has 1 to {MAX_REFERENCE_LEN} visible ASCII characters"))]
}

impl FromRow for Payment {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let (id, status): (String, String) = (row.get("id")?, row.get("status")?);
        let status = Status::ALL.into_iter().find(|known| known.as_str() == status);
        Ok(Self {
            id: Uuid::parse_str(&id).map_err(|_| Error::Decode("a payment's id is no UUID".into()))?,
            reference: row.get("reference")?,
            amount: row.get("amount")?,
            status: status.ok_or_else(|| Error::Decode("a payment's status is not known".into()))?,
            tombstone: row.get("tombstone")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doing_a_thing_twice_is_doing_it_once() {
        for action in [Action::Capture, Action::Undo] {
            for status in Status::ALL {
                if let Some(after) = status.after(action) {
                    assert_eq!(after.after(action), Some(after), "{action:?} {status:?}");
                }
            }
        }
    }

    #[test]
    fn money_that_was_given_back_cannot_be_taken() {
        for status in [Status::Refunded, Status::Voided, Status::Declined] {
            assert_eq!(status.after(Action::Capture), None);
        }
        assert_eq!(Status::Authorised.after(Action::Undo), Some(Status::Voided));
        assert_eq!(Status::Captured.after(Action::Undo), Some(Status::Refunded));
        assert_eq!(Status::Declined.after(Action::Undo), None);
    }

    #[test]
    fn odd_references_are_refused() {
        for reference in ["", "a b", "ü", "a\nb", &"x".repeat(129)] {
            assert!(VoidInput { reference: reference.into() }.checked().is_err(), "{reference:?}");
        }
        assert!(VoidInput { reference: "order-7".into() }.checked().is_ok());
    }
}
