//! The answer to an order, in a form that can be kept and given again.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use trellis_sdk::core::error::Result;
use trellis_sdk::core::{self, Error, Problem};

use super::model::OrderDetail;
use crate::codes;

/// What a client is told, also when it asks again with the same key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// The order was placed.
    Placed(OrderDetail),
    /// It was refused, for a reason that asking again does not change.
    Refused(Refusal),
}

/// A refusal by the rules of the shop: no stock, no money, no such user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Refusal {
    code: String,
    pub(super) detail: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    extensions: Map<String, Value>,
}

/// What other modules may say to an order's client through us.
const PASSED_ON: [core::Code; 5] = [
    codes::OUT_OF_STOCK,
    codes::PAYMENT_DECLINED,
    codes::UNKNOWN_SKU,
    codes::UNKNOWN_TOKEN,
    core::codes::INVALID_INPUT,
];

impl Answer {
    /// As the result of the request.
    pub(super) fn into_result(self) -> Result<OrderDetail> {
        match self {
            Self::Placed(order) => Ok(order),
            Self::Refused(refusal) => Err(refusal.into_error()),
        }
    }
}

impl Refusal {
    /// A refusal of our own.
    pub(super) fn new(code: core::Code, detail: impl Into<String>) -> Self {
        Self { code: code.id.into(), detail: detail.into(), extensions: Map::new() }
    }

    /// Another module's refusal, if it is one that concerns the client.
    pub(super) fn passed_on(problem: &Problem) -> Option<Self> {
        let code = PASSED_ON.into_iter().find(|code| code.id == problem.code)?;
        Some(Self {
            code: code.id.into(),
            detail: problem.detail.clone(),
            extensions: problem.extensions.clone(),
        })
    }

    /// As an error for the client.
    pub(super) fn into_error(self) -> Error {
        let code = codes::find(&self.code).unwrap_or(core::codes::CONFLICT);
        self.extensions
            .into_iter()
            .fold(Error::new(code, self.detail), |error, (name, value)| error.with(&name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_being_kept() {
        let error = Error::new(codes::OUT_OF_STOCK, "none left").with("sku", "mouse");
        let refusal = Refusal::passed_on(&Problem::from(&error)).unwrap();
        let kept = serde_json::to_string(&Answer::Refused(refusal)).unwrap();
        let again = serde_json::from_str::<Answer>(&kept).unwrap().into_result().unwrap_err();
        assert_eq!((again.code(), again.detail()), (error.code(), error.detail()));
        assert_eq!(again.extensions(), error.extensions());
    }

    #[test]
    fn what_is_between_modules_stays_there() {
        for code in [codes::RESERVATION_RELEASED, codes::PAYMENT_CLOSED, core::codes::INTERNAL] {
            assert_eq!(Refusal::passed_on(&Problem::from(&Error::new(code, "x"))), None);
        }
    }
}
