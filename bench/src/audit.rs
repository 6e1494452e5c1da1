//! What must hold after any faults: nothing acknowledged is lost, nothing is done twice, nothing is left half done.
//! Pure: compares what the shop held before with what it holds after and with what clients were told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::money::Cents;
use crate::shop::{Item, Order, Payment, Stock, by_sku};

/// What the shop holds at a quiet moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Every article.
    pub stock: Vec<Stock>,
    /// Every order; those made since the snapshot it is compared with have their items.
    pub orders: Vec<Order>,
    /// Every payment.
    pub payments: Vec<Payment>,
}

/// An order that a client tried to place under one `Idempotency-Key`, however often it was sent.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The `Idempotency-Key`.
    pub key: String,
    /// Who ordered.
    pub user_id: i64,
    /// What.
    pub items: Vec<Item>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a client knows of its order in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was told that the order is completed.
    Acknowledged {
        /// The order's number.
        order: i64,
        /// The amount it was told.
        amount: Cents,
    },
    /// It was told that there is no order, for a reason that may be given (out of stock, declined).
    Refused,
    /// It gave up without an answer: the order may exist or not, but only once.
    Unanswered,
    /// It got an answer that no fault excuses.
    Unexpected(String),
}

/// What kind of promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An acknowledged order is not there, or is no longer completed.
    LostOrder,
    /// An order differs from what its client was told.
    ChangedOrder,
    /// An order exists that no client asked for, or exists twice.
    DuplicateOrder,
    /// An order is neither completed nor called off.
    PendingOrder,
    /// Pieces are missing from the stock or were sold twice.
    WrongStock,
    /// Captured payments and completed orders do not match.
    WrongPayment,
    /// A client got an answer that no fault excuses.
    UnexpectedAnswer,
}

/// One broken promise.
#[derive(Debug, Clone, Serialize)]
pub struct Violation {
    /// Which promise.
    pub kind: Kind,
    /// What exactly.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.detail)
    }
}

impl Order {
    /// Sold and paid.
    pub fn is_completed(&self) -> bool {
        self.status == "completed"
    }

    /// Still on its way to completed or called off.
    pub fn is_open(&self) -> bool {
        !matches!(self.status.as_str(), "completed" | "cancelled" | "failed")
    }
}

impl Payment {
    /// Money that is set aside, neither taken nor given back.
    fn is_open(&self) -> bool {
        !matches!(self.status.as_str(), "captured" | "refunded" | "voided" | "declined")
    }
}

/// Every promise that was broken between the two snapshots; empty if all is well.
pub fn audit(before: &Snapshot, after: &Snapshot, attempts: &[Attempt]) -> Vec<Violation> {
    let mut audit = Audit { before, after, attempts, found: Vec::new() };
    audit.answers();
    audit.listing();
    audit.promises();
    audit.strangers();
    audit.stock();
    audit.payments();
    audit.found
}

struct Audit<'a> {
    before: &'a Snapshot,
    after: &'a Snapshot,
    attempts: &'a [Attempt],
    found: Vec<Violation>,
}

impl<'a> Audit<'a> {
    fn report(&mut self, kind: Kind, detail: String) {
        self.found.push(Violation { kind, detail });
    }

    /// Orders made since `before`.
    fn new_orders(&self) -> Vec<&'a Order> {
        let old: BTreeSet<i64> = self.before.orders.iter().map(|order| order.id).collect();
        self.after.orders.iter().filter(|order| !old.contains(&order.id)).collect()
    }

    fn answers(&mut self) {
        for attempt in self.attempts {
            if let Outcome::Unexpected(answer) = &attempt.outcome {
                self.report(Kind::UnexpectedAnswer, format!("{}: {answer}", attempt.key));
            }
        }
    }

    /// The list itself: every order once, none open but those that were, none of the old ones touched.
    fn listing(&mut self) {
        let mut seen = BTreeMap::new();
        for order in &self.after.orders {
            if seen.insert(order.id, order).is_some() {
                self.report(Kind::DuplicateOrder, format!("order {} is listed twice", order.id));
            }
        }
        for old in &self.before.orders {
            let same =
                seen.get(&old.id).is_some_and(|new| new.status == old.status && new.amount == old.amount);
            if !same {
                self.report(
                    Kind::ChangedOrder,
                    format!("order {} was there before and is changed or gone", old.id),
                );
            }
        }
        for order in self.new_orders().into_iter().filter(|order| order.is_open()) {
            self.report(Kind::PendingOrder, format!("order {} is still {}", order.id, order.status));
        }
    }

    /// Every acknowledged order is there, once, as acknowledged.
    fn promises(&mut self) {
        let orders: BTreeMap<i64, &Order> = self.after.orders.iter().map(|order| (order.id, order)).collect();
        let mut claimed: BTreeMap<i64, &str> = BTreeMap::new();
        for attempt in self.attempts {
            let Outcome::Acknowledged { order: id, amount } = attempt.outcome else {
                continue;
            };
            if let Some(other) = claimed.insert(id, &attempt.key) {
                self.report(
                    Kind::LostOrder,
                    format!("order {id} was promised to both {other} and {}", attempt.key),
                );
            }
            match orders.get(&id) {
                None => self.report(Kind::LostOrder, format!("order {id} ({}) is not there", attempt.key)),
                Some(order) if !order.is_completed() => {
                    self.report(Kind::LostOrder, format!("order {id} ({}) is {}", attempt.key, order.status));
                }
                Some(order) => {
                    let price = self.price(&attempt.items);
                    let as_told = order.amount == amount && price.is_none_or(|price| price == amount);
                    if !as_told || order.user_id != attempt.user_id || !same_items(order, &attempt.items) {
                        let detail = format!(
                            "order {id} ({}) was acknowledged with {amount} and is {order:?}",
                            attempt.key
                        );
                        self.report(Kind::ChangedOrder, detail);
                    }
                }
            }
        }
    }

    /// A completed order that was promised to nobody needs a client that got no answer to explain it.
    fn strangers(&mut self) {
        let mut promised = BTreeSet::new();
        let mut unanswered: BTreeMap<(i64, Vec<Item>), usize> = BTreeMap::new();
        for attempt in self.attempts {
            match attempt.outcome {
                Outcome::Acknowledged { order, .. } => {
                    promised.insert(order);
                }
                Outcome::Unanswered => {
                    let explains = (attempt.user_id, sorted(&attempt.items));
                    *unanswered.entry(explains).or_default() += 1;
                }
                Outcome::Refused | Outcome::Unexpected(_) => {}
            }
        }
        for order in self.new_orders() {
            if !order.is_completed() || promised.contains(&order.id) {
                continue;
            }
            let explanation = (order.user_id, sorted(order.items.as_deref().unwrap_or_default()));
            if let Some(left) = unanswered.get_mut(&explanation).filter(|left| **left > 0) {
                *left -= 1;
            } else {
                let detail = format!("order {} of user {} was asked for by nobody", order.id, order.user_id);
                self.report(Kind::DuplicateOrder, detail);
            }
        }
    }

    /// What was there is what is left and what was sold.
    fn stock(&mut self) {
        let mut sold: BTreeMap<&str, i64> = BTreeMap::new();
        for order in self.new_orders().into_iter().filter(|order| order.is_completed()) {
            for item in order.items.iter().flatten() {
                *sold.entry(&item.sku).or_default() += item.quantity;
            }
        }
        let after = by_sku(&self.after.stock);
        for (sku, line) in by_sku(&self.before.stock) {
            let sold = sold.remove(sku).unwrap_or_default();
            let left = after.get(sku).map_or(0, |line| line.available);
            if left + sold != line.available {
                let detail = format!("{sku}: {} at first, {sold} sold, {left} left", line.available);
                self.report(Kind::WrongStock, detail);
            }
        }
        for (sku, sold) in sold {
            self.report(Kind::WrongStock, format!("{sku}: {sold} sold of what was never there"));
        }
    }

    /// Each completed order is paid once, and nothing else is.
    fn payments(&mut self) {
        let old: BTreeSet<&str> = self.before.payments.iter().map(|payment| payment.id.as_str()).collect();
        let new = self.after.payments.iter().filter(|payment| !old.contains(payment.id.as_str()));
        let (captured, others): (Vec<_>, Vec<_>) = new.partition(|payment| payment.status == "captured");
        let completed: Vec<_> = self.new_orders().into_iter().filter(|order| order.is_completed()).collect();

        let mut references = BTreeSet::new();
        for payment in &captured {
            if !references.insert(&payment.reference) {
                self.report(Kind::WrongPayment, format!("{} is paid twice", payment.reference));
            }
        }
        for payment in others.iter().filter(|payment| payment.is_open()) {
            let detail =
                format!("{}: {} is held and neither taken nor given back", payment.reference, payment.amount);
            self.report(Kind::WrongPayment, detail);
        }
        let paid: Cents = captured.iter().map(|payment| payment.amount).sum();
        let owed: Cents = completed.iter().map(|order| order.amount).sum();
        if captured.len() != completed.len() || paid != owed {
            let detail = format!(
                "{} payments of {paid} in all for {} completed orders of {owed}",
                captured.len(),
                completed.len()
            );
            self.report(Kind::WrongPayment, detail);
        }
    }

    /// What these items cost; `None` if one of them has no price.
    fn price(&self, items: &[Item]) -> Option<Cents> {
        let prices = by_sku(&self.before.stock);
        items.iter().map(|item| Some(prices.get(item.sku.as_str())?.price * item.quantity)).sum()
    }
}

fn sorted(items: &[Item]) -> Vec<Item> {
    let mut items = items.to_vec();
    items.sort();
    items
}

fn same_items(order: &Order, items: &[Item]) -> bool {
    order.items.as_deref().is_none_or(|ordered| sorted(ordered) == sorted(items))
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
