//! The shop's own error codes. A code is never renamed or reused; each has its page in `docs/errors/`.

use std::time::Duration;

use trellis_sdk::core::error::{Blame, Retry};
use trellis_sdk::core::{self, Code};

const NO: Retry = Retry::No;
const SOON: Retry = Retry::After(Duration::from_secs(1));

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $status:literal, $blame:ident, $retry:expr, $title:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: Code =
            Code { id: $id, status: $status, title: $title, blame: Blame::$blame, retry: $retry };)*

        /// All codes of the shop.
        pub(crate) const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    /// An article has fewer pieces than are asked for.
    OUT_OF_STOCK = "SHOP1001", 409, Client, NO, "Out of stock";
    /// The payment provider said no.
    PAYMENT_DECLINED = "SHOP1002", 402, Client, NO, "The payment was declined";
    /// An order names a user who is not there.
    UNKNOWN_USER = "SHOP1003", 404, Client, NO, "The user does not exist";
    /// An article that is asked for is not sold.
    UNKNOWN_SKU = "SHOP1004", 422, Client, NO, "The article does not exist";
    /// The payment provider does not know the token.
    UNKNOWN_TOKEN = "SHOP1005", 422, Client, NO, "The payment token is not valid";
    /// Another user has this address.
    EMAIL_TAKEN = "SHOP1006", 409, Client, NO, "The email address is taken";
    /// The reservation was released, perhaps before it was made.
    RESERVATION_RELEASED = "SHOP1007", 409, Client, NO, "The reservation was released";
    /// The payment was voided, perhaps before it was made.
    PAYMENT_CLOSED = "SHOP1008", 409, Client, NO, "The payment was voided";
    /// The payment is in a state in which this cannot be done.
    PAYMENT_STATE = "SHOP1009", 409, Client, NO, "The payment's status does not allow this";
    /// A step failed for want of an answer; the order was undone.
    ORDER_NOT_PLACED = "SHOP1010", 503, Upstream, SOON, "The order was not placed";
    /// The order is still being placed.
    ORDER_BUSY = "SHOP1011", 409, Client, SOON, "The order is still being placed";
    /// Another instance took the order over while this one was placing it.
    ORDER_TAKEN_OVER = "SHOP1012", 503, Us, SOON, "The order is being finished elsewhere";
}

/// The code with this id, be it the shop's or the platform's.
pub(crate) fn find(id: &str) -> Option<Code> {
    ALL.iter().chain(core::codes::ALL).find(|code| code.id == id).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_page() {
        let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
        for code in ALL {
            let page = pages.join(format!("{}.md", code.id));
            let text = std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
            assert!(
                text.starts_with(&format!("# {}: {}\n", code.id, code.title)),
                "{} has another title",
                page.display()
            );
            for part in ["## What it means", "## What to do"] {
                assert!(text.contains(part), "{} has no {part:?}", page.display());
            }
        }
    }

    #[test]
    fn ids_are_unique_and_found() {
        for code in ALL {
            assert_eq!(find(code.id), Some(*code));
        }
        assert_eq!(find("TRL2004").map(|code| code.status), Some(404));
        assert_eq!(find("SHOP9999"), None);
    }
}
