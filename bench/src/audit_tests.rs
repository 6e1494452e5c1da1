//! A good run passes; each kind of damage is caught.

use super::*;

fn item(sku: &str, quantity: i64) -> Item {
    Item { sku: sku.into(), quantity }
}

fn order(id: i64, user_id: i64, cents: i64, status: &str, items: Vec<Item>) -> Order {
    Order { id, user_id, amount: Cents(cents), status: status.into(), items: Some(items) }
}

fn payment(id: i64, reference: &str, cents: i64, status: &str) -> Payment {
    Payment { id: id.to_string(), reference: reference.into(), amount: Cents(cents), status: status.into() }
}

fn stock(apples: i64, pears: i64) -> Vec<Stock> {
    vec![
        Stock { sku: "apple".into(), available: apples, price: Cents(250) },
        Stock { sku: "pear".into(), available: pears, price: Cents(100) },
    ]
}

fn attempt(key: &str, user_id: i64, items: Vec<Item>, outcome: Outcome) -> Attempt {
    Attempt { key: key.into(), user_id, items, outcome }
}

/// Two demo orders at first. Then order 3 is acknowledged, order 4 is called off, and order 5 was made for a client
/// that got no answer.
struct Run {
    before: Snapshot,
    after: Snapshot,
    attempts: Vec<Attempt>,
}

fn good() -> Run {
    let demo = [order(1, 1, 10_000, "completed", vec![]), order(2, 2, 20_000, "pending", vec![])];
    let before = Snapshot {
        stock: stock(10, 10),
        orders: demo.to_vec(),
        payments: vec![payment(1, "order-1", 10_000, "captured")],
    };
    let mut after = before.clone();
    after.stock = stock(8, 6);
    after.orders.push(order(3, 7, 600, "completed", vec![item("pear", 1), item("apple", 2)]));
    after.orders.push(order(4, 8, 100, "cancelled", vec![item("pear", 1)]));
    after.orders.push(order(5, 8, 300, "completed", vec![item("pear", 3)]));
    after.payments.push(payment(2, "order-3", 600, "captured"));
    after.payments.push(payment(3, "order-4", 100, "refunded"));
    after.payments.push(payment(4, "order-5", 300, "captured"));
    let attempts = vec![
        attempt(
            "k3",
            7,
            vec![item("apple", 2), item("pear", 1)],
            Outcome::Acknowledged { order: 3, amount: Cents(600) },
        ),
        attempt("k4", 8, vec![item("pear", 1)], Outcome::Refused),
        attempt("k5", 8, vec![item("pear", 3)], Outcome::Unanswered),
    ];
    Run { before, after, attempts }
}

impl Run {
    fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> =
            audit(&self.before, &self.after, &self.attempts).iter().map(|v| v.kind).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    fn order(&mut self, id: i64) -> &mut Order {
        self.after.orders.iter_mut().find(|order| order.id == id).unwrap()
    }
}

#[test]
fn a_good_run_passes() {
    let run = good();
    let found = audit(&run.before, &run.after, &run.attempts);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_lost_order_is_caught() {
    let mut run = good();
    run.after.orders.retain(|order| order.id != 3);
    run.after.payments.retain(|payment| payment.reference != "order-3");
    run.after.stock = stock(10, 7);
    assert_eq!(run.kinds(), [Kind::LostOrder]);
}

#[test]
fn an_acknowledged_order_that_was_called_off_is_caught() {
    let mut run = good();
    run.order(3).status = "cancelled".into();
    run.after.payments.retain(|payment| payment.reference != "order-3");
    run.after.stock = stock(10, 7);
    assert_eq!(run.kinds(), [Kind::LostOrder]);
}

#[test]
fn one_order_promised_to_two_is_caught() {
    let mut run = good();
    let mut twin = run.attempts[0].clone();
    twin.key = "k9".into();
    run.attempts.push(twin);
    assert_eq!(run.kinds(), [Kind::LostOrder]);
}

#[test]
fn a_duplicate_order_is_caught_though_stock_and_payments_agree() {
    let mut run = good();
    run.after.orders.push(order(6, 7, 600, "completed", vec![item("apple", 2), item("pear", 1)]));
    run.after.payments.push(payment(5, "order-6", 600, "captured"));
    run.after.stock = stock(6, 5);
    assert_eq!(run.kinds(), [Kind::DuplicateOrder]);
}

#[test]
fn one_unanswered_request_explains_one_order_only() {
    let mut run = good();
    run.after.orders.push(order(6, 8, 300, "completed", vec![item("pear", 3)]));
    run.after.payments.push(payment(5, "order-6", 300, "captured"));
    run.after.stock = stock(8, 3);
    assert_eq!(run.kinds(), [Kind::DuplicateOrder]);
}

#[test]
fn an_order_for_a_refused_request_is_caught() {
    let mut run = good();
    run.order(4).status = "completed".into();
    run.after.payments[2].status = "captured".into();
    run.after.stock = stock(8, 5);
    assert_eq!(run.kinds(), [Kind::DuplicateOrder]);
}

#[test]
fn an_order_listed_twice_is_caught() {
    let mut run = good();
    let again = run.order(4).clone();
    run.after.orders.push(again);
    assert_eq!(run.kinds(), [Kind::DuplicateOrder]);
}

#[test]
fn a_leaked_reservation_is_caught() {
    let mut run = good();
    run.after.stock = stock(8, 5);
    assert_eq!(run.kinds(), [Kind::WrongStock]);
}

#[test]
fn pieces_given_back_twice_are_caught() {
    let mut run = good();
    run.after.stock = stock(8, 7);
    assert_eq!(run.kinds(), [Kind::WrongStock]);
}

#[test]
fn a_double_payment_is_caught() {
    let mut run = good();
    run.after.payments.push(payment(5, "order-3", 600, "captured"));
    assert_eq!(run.kinds(), [Kind::WrongPayment]);
}

#[test]
fn a_missing_payment_is_caught() {
    let mut run = good();
    run.after.payments.retain(|payment| payment.reference != "order-5");
    assert_eq!(run.kinds(), [Kind::WrongPayment]);
}

#[test]
fn money_held_for_nothing_is_caught() {
    let mut run = good();
    run.after.payments[2].status = "authorised".into();
    assert_eq!(run.kinds(), [Kind::WrongPayment]);
}

#[test]
fn a_wrong_amount_is_caught_in_the_order_and_in_what_the_client_was_told() {
    let mut run = good();
    run.order(3).amount = Cents(601);
    run.after.payments[1].amount = Cents(601);
    assert_eq!(run.kinds(), [Kind::ChangedOrder]);

    // Client and shop agree, but on a price that is not the article's.
    run.attempts[0].outcome = Outcome::Acknowledged { order: 3, amount: Cents(601) };
    assert_eq!(run.kinds(), [Kind::ChangedOrder]);
}

#[test]
fn an_order_left_pending_is_caught_but_not_the_demo_s() {
    let mut run = good();
    run.order(4).status = "pending".into();
    assert_eq!(run.kinds(), [Kind::PendingOrder]);
}

#[test]
fn an_old_order_that_changed_is_caught() {
    let mut run = good();
    run.order(2).status = "cancelled".into();
    assert_eq!(run.kinds(), [Kind::ChangedOrder]);
}

#[test]
fn an_answer_that_no_fault_excuses_is_caught() {
    let mut run = good();
    run.attempts[1].outcome = Outcome::Unexpected("500 Internal Server Error".into());
    assert_eq!(run.kinds(), [Kind::UnexpectedAnswer]);
}
