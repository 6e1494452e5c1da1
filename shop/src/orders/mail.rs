//! What the shop writes to its customers.

use std::fmt::Write;

use serde::Serialize;

use super::model::OrderDetail;

/// A mail, in the form in which the notifications take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Mail {
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: String,
}

/// The confirmation of an order.
pub(super) fn confirmation(order: &OrderDetail, to: &str) -> Mail {
    let id = order.order.id;
    let mut text = format!("Thank you for your order {id}.\n\n");
    for item in &order.items {
        let price = item.price.unwrap_or_default();
        let _ = writeln!(text, "{:>5} x {} at {price}", item.quantity, item.sku);
    }
    let _ = writeln!(text, "\nTotal: {}", order.order.amount);
    Mail { to: to.into(), subject: format!("Your order {id}"), text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Money;
    use crate::orders::model::{Item, Order, Status};

    #[test]
    fn it_says_what_was_bought() {
        let amount = Money::from_minor(5100).unwrap();
        let order = OrderDetail {
            order: Order { id: 7, user_id: 1, amount, status: Status::Completed },
            reason: None,
            items: vec![Item { sku: "mouse".into(), quantity: 2, price: Money::from_minor(2550) }],
        };
        let mail = confirmation(&order, "alice@example.com");
        assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("alice@example.com", "Your order 7"));
        assert!(
            mail.text.contains("2 x mouse at 25.50") && mail.text.contains("Total: 51.00"),
            "{}",
            mail.text
        );
    }
}
