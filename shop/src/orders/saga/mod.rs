//! Placing an order as a saga: stock is reserved, money set aside, the money taken, the order completed.
//!
//! Every step is known to the other modules by the order's attempt, and doing it again is the same as doing it once.
//! So nothing is written down between the steps: whoever takes over an order walks through them again. If a step is
//! refused, or nobody answers within the driver's patience, it is written down that the order is being undone before
//! anything is taken back; from then on it is undone for as long as that takes. What was given up may still arrive at
//! the other modules later; they remember what was released or voided and refuse it.

mod driver;
mod mesh;
mod recovery;
mod remotes;
#[cfg(test)]
mod tests;

use uuid::Uuid;

use super::model::Line;
use crate::token::Token;

pub(super) use driver::{Driver, Outcome, Policy, Report};
pub(super) use mesh::Mesh;
pub(super) use recovery::Recovery;
#[cfg(test)]
pub(super) use remotes::Customer;
pub(super) use remotes::{Fault, Remotes};

/// The work under way on one order.
#[derive(Debug, Clone)]
pub(super) struct Saga {
    pub(super) order_id: i64,
    /// Names the reservation and the payment.
    pub(super) attempt: Uuid,
    pub(super) lines: Vec<Line>,
    pub(super) stage: Stage,
    /// Which takeover this is, from 1. Only the latest may write.
    pub(super) claim: i64,
    /// Where the confirmation goes.
    pub(super) email: Option<String>,
    /// What is paid with; gone once that is decided.
    pub(super) token: Option<Token>,
    pub(super) undo: Undo,
    /// How often taking back has failed.
    pub(super) tries: u32,
}

/// Where the work stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The order is being placed.
    Forward,
    /// What was done is being taken back.
    Undoing,
}

/// What is to be taken back: all that may have been done, known or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Undo {
    pub(super) stock: bool,
    pub(super) payment: bool,
}

impl Stage {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Undoing => "undoing",
        }
    }
}

impl Undo {
    pub(super) fn is_nothing(self) -> bool {
        self == Self::default()
    }
}
