//! Orders and their items.

use trellis_sdk::core::error::Result;
use trellis_sdk::database::{Error, Store, Tx, params};
use uuid::Uuid;

use crate::money::Money;
use crate::orders::model::{Item, NewOrder, Order, OrderDetail, Quote, Status};
use crate::paging::Window;

/// Reads orders.
#[derive(Clone)]
pub(in crate::orders) struct Orders(Store);

/// Which orders to list.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::orders) struct Filter {
    pub(in crate::orders) user_id: Option<i64>,
    pub(in crate::orders) status: Option<Status>,
}

macro_rules! list {
    ($condition:literal) => {
        concat!(
            "SELECT id, user_id, amount, status FROM orders_orders WHERE id > $1 ",
            $condition,
            " ORDER BY id LIMIT $2"
        )
    };
}

const ONE: &str = "SELECT id, user_id, amount, status, reason FROM orders_orders WHERE id = $1";
const ITEMS: &str = "SELECT sku, quantity, price FROM orders_items WHERE order_id = $1 ORDER BY position";

impl Orders {
    pub(in crate::orders) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Orders after the window's start, by id.
    pub(in crate::orders) async fn list(&self, filter: Filter, window: &Window) -> Result<Vec<Order>> {
        let (after, rows) = (window.after_id()?, window.rows());
        // One statement for each set of filters, so that each finds its index.
        let listed = match (filter.user_id, filter.status) {
            (None, None) => self.0.fetch_all(list!(""), params![after, rows]).await,
            (Some(user), None) => {
                self.0.fetch_all(list!("AND user_id = $3"), params![after, rows, user]).await
            }
            (None, Some(status)) => {
                self.0.fetch_all(list!("AND status = $3"), params![after, rows, status.as_str()]).await
            }
            (Some(user), Some(status)) => {
                let query = params![after, rows, user, status.as_str()];
                self.0.fetch_all(list!("AND user_id = $3 AND status = $4"), query).await
            }
        };
        Ok(listed?)
    }

    /// One order.
    pub(in crate::orders) async fn get(&self, id: i64) -> Result<Option<OrderDetail>> {
        let head: Option<OrderDetail> = self.0.fetch_optional(ONE, params![id]).await?;
        let Some(head) = head else { return Ok(None) };
        Ok(Some(OrderDetail { items: self.0.fetch_all(ITEMS, params![id]).await?, ..head }))
    }

    /// Puts orders of one article each into an empty table, once in the life of the database.
    pub(in crate::orders) async fn seed(&self, orders: Vec<(OrderDetail, Uuid)>, now_ms: i64) -> Result<()> {
        const ONCE: &str = "INSERT INTO orders_demo (id, done_ms) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
        self.0
            .write(move |tx| {
                Box::pin(async move {
                    let first = tx.execute(ONCE, params![now_ms]).await? > 0;
                    let present: i64 = tx.fetch_one("SELECT COUNT(*) FROM orders_orders", params![]).await?;
                    if !first || present > 0 {
                        return Ok(());
                    }
                    for (OrderDetail { order, items, .. }, attempt) in orders {
                        let id = insert_order(tx, order.user_id, order.amount, order.status, attempt, now_ms)
                            .await?;
                        insert_items(tx, id, &items).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

/// A new order that is being placed; its id.
pub(super) async fn insert(tx: &mut Tx, order: &NewOrder, attempt: Uuid, now_ms: i64) -> Result<i64, Error> {
    let id = insert_order(tx, order.user_id, Money::default(), Status::Pending, attempt, now_ms).await?;
    let item = |line: &crate::orders::model::Line| Item {
        sku: line.sku.clone(),
        quantity: line.quantity,
        price: None,
    };
    insert_items(tx, id, &order.items.iter().map(item).collect::<Vec<_>>()).await?;
    Ok(id)
}

async fn insert_order(
    tx: &mut Tx,
    user_id: i64,
    amount: Money,
    status: Status,
    attempt: Uuid,
    now_ms: i64,
) -> Result<i64, Error> {
    const SQL: &str = "INSERT INTO orders_orders (user_id, amount, status, attempt, created_ms, updated_ms)
        VALUES ($1, $2, $3, $4, $5, $5) RETURNING id";
    tx.fetch_one(SQL, params![user_id, amount, status.as_str(), attempt.to_string(), now_ms]).await
}

async fn insert_items(tx: &mut Tx, id: i64, items: &[Item]) -> Result<(), Error> {
    const SQL: &str =
        "INSERT INTO orders_items (order_id, position, sku, quantity, price) VALUES ($1, $2, $3, $4, $5)";
    for (position, item) in (0_i64..).zip(items) {
        tx.execute(SQL, params![id, position, &item.sku, item.quantity, item.price]).await?;
    }
    Ok(())
}

/// One order, within a transaction.
pub(super) async fn load(tx: &mut Tx, id: i64) -> Result<Option<OrderDetail>, Error> {
    let head: Option<OrderDetail> = tx.fetch_optional(ONE, params![id]).await?;
    let Some(head) = head else { return Ok(None) };
    Ok(Some(OrderDetail { items: tx.fetch_all(ITEMS, params![id]).await?, ..head }))
}

/// Writes down what the order costs.
pub(super) async fn price(tx: &mut Tx, id: i64, quote: &Quote) -> Result<(), Error> {
    for (position, price) in (0_i64..).zip(&quote.prices) {
        const SQL: &str = "UPDATE orders_items SET price = $1 WHERE order_id = $2 AND position = $3";
        tx.execute(SQL, params![*price, id, position]).await?;
    }
    tx.execute("UPDATE orders_orders SET amount = $1 WHERE id = $2", params![quote.total, id]).await?;
    Ok(())
}

/// Writes the order's new status.
pub(super) async fn set_status(
    tx: &mut Tx,
    id: i64,
    status: Status,
    reason: Option<&str>,
    now_ms: i64,
) -> Result<(), Error> {
    const SQL: &str = "UPDATE orders_orders SET status = $1, reason = $2, updated_ms = $3 WHERE id = $4";
    tx.execute(SQL, params![status.as_str(), reason, now_ms, id]).await?;
    Ok(())
}
