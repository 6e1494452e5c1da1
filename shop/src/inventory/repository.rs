//! The inventory's tables.

use trellis_sdk::core::{self, error::Result};
use trellis_sdk::database::{Store, Tx, params};
use uuid::Uuid;

use super::model::{Item, Line, Reservation, ReservationStatus, ReservedLine};
use crate::money::Money;
use crate::paging::Window;

/// Reads and writes stock and reservations.
#[derive(Clone)]
pub(super) struct Repository(Store);

/// What came of taking pieces from stock.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// They are taken; this is the price of one.
    At(Money),
    /// There are only so many.
    Short { available: i64 },
    /// There is no such article.
    Unknown,
}

impl Repository {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// The store, for a transaction of several steps.
    pub(super) fn store(&self) -> &Store {
        &self.0
    }

    /// Articles after the window's start, by sku.
    pub(super) async fn list(&self, window: &Window) -> Result<Vec<Item>> {
        const SQL: &str =
            "SELECT sku, available, price FROM inventory_items WHERE sku > $1 ORDER BY sku LIMIT $2";
        Ok(self.0.fetch_all(SQL, params![window.after_text(), window.rows()]).await?)
    }

    /// One article.
    pub(super) async fn get(&self, sku: &str) -> Result<Option<Item>> {
        const SQL: &str = "SELECT sku, available, price FROM inventory_items WHERE sku = $1";
        Ok(self.0.fetch_optional(SQL, params![sku]).await?)
    }

    /// Creates the article, or puts it in place of the one that is there.
    pub(super) async fn put(&self, item: &Item) -> Result<()> {
        self.0.execute(PUT, params![&item.sku, item.available, item.price]).await?;
        Ok(())
    }

    /// One reservation.
    pub(super) async fn reservation(&self, id: Uuid) -> Result<Option<Reservation>> {
        let head: Option<(String, Money)> = self.0.fetch_optional(HEAD, params![id.to_string()]).await?;
        let Some((status, total)) = head else { return Ok(None) };
        let lines = self.0.fetch_all(LINES, params![id.to_string()]).await?;
        Ok(Some(reservation(id, &status, total, lines)))
    }

    /// Puts `items` and a reservation made of the first into an empty table, once in the life of the database.
    pub(super) async fn seed(&self, items: Vec<Item>, held: Reservation, now_ms: i64) -> Result<()> {
        const ONCE: &str =
            "INSERT INTO inventory_demo (id, done_ms) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
        self.0
            .write(move |tx| {
                Box::pin(async move {
                    let first = tx.execute(ONCE, params![now_ms]).await? > 0;
                    let present: i64 =
                        tx.fetch_one("SELECT COUNT(*) FROM inventory_items", params![]).await?;
                    if first && present == 0 {
                        for item in &items {
                            tx.execute(PUT, params![&item.sku, item.available, item.price]).await?;
                        }
                        claim(tx, held.id, ReservationStatus::Held, now_ms).await?;
                        record(tx, held.id, &held.items, held.total).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

const PUT: &str = "INSERT INTO inventory_items (sku, available, price) VALUES ($1, $2, $3)
    ON CONFLICT (sku) DO UPDATE SET available = excluded.available, price = excluded.price";
const HEAD: &str = "SELECT status, total FROM inventory_reservations WHERE id = $1";
const LINES: &str =
    "SELECT sku, quantity, price FROM inventory_reserved WHERE reservation_id = $1 ORDER BY position";

/// Makes the reservation's row. False if there is one: on PostgreSQL that waits for whoever is making it.
pub(super) async fn claim(
    tx: &mut Tx,
    id: Uuid,
    status: ReservationStatus,
    now_ms: i64,
) -> Result<bool, core::Error> {
    const SQL: &str =
        "INSERT INTO inventory_reservations (id, status, total, created_ms) VALUES ($1, $2, 0, $3)
        ON CONFLICT (id) DO NOTHING";
    Ok(tx.execute(SQL, params![id.to_string(), status.as_str(), now_ms]).await? > 0)
}

/// Takes pieces from stock if there are enough.
pub(super) async fn take(tx: &mut Tx, line: &Line) -> Result<Taken> {
    const TAKE: &str =
        "UPDATE inventory_items SET available = available - $1 WHERE sku = $2 AND available >= $1
        RETURNING price";
    if let Some((price,)) = tx.fetch_optional::<(Money,)>(TAKE, params![line.quantity, &line.sku]).await? {
        return Ok(Taken::At(price));
    }
    let left =
        tx.fetch_optional("SELECT available FROM inventory_items WHERE sku = $1", params![&line.sku]).await?;
    Ok(left.map_or(Taken::Unknown, |available| Taken::Short { available }))
}

/// Writes down what a reservation holds.
pub(super) async fn record(tx: &mut Tx, id: Uuid, lines: &[ReservedLine], total: Money) -> Result<()> {
    const LINE: &str = "INSERT INTO inventory_reserved (reservation_id, position, sku, quantity, price)
        VALUES ($1, $2, $3, $4, $5)";
    for (position, line) in (0_i64..).zip(lines) {
        tx.execute(LINE, params![id.to_string(), position, &line.sku, line.quantity, line.price]).await?;
    }
    tx.execute("UPDATE inventory_reservations SET total = $1 WHERE id = $2", params![total, id.to_string()])
        .await?;
    Ok(())
}

/// One reservation, within a transaction.
pub(super) async fn load(tx: &mut Tx, id: Uuid) -> Result<Reservation> {
    let (status, total): (String, Money) = tx.fetch_one(HEAD, params![id.to_string()]).await?;
    let lines = tx.fetch_all(LINES, params![id.to_string()]).await?;
    Ok(reservation(id, &status, total, lines))
}

/// Marks a held reservation as released; false if it is not held.
pub(super) async fn unhold(tx: &mut Tx, id: Uuid) -> Result<bool> {
    const SQL: &str =
        "UPDATE inventory_reservations SET status = 'released' WHERE id = $1 AND status = 'held'";
    Ok(tx.execute(SQL, params![id.to_string()]).await? > 0)
}

/// Puts pieces back into stock.
pub(super) async fn give_back(tx: &mut Tx, line: &ReservedLine) -> Result<()> {
    const SQL: &str = "UPDATE inventory_items SET available = available + $1 WHERE sku = $2";
    tx.execute(SQL, params![line.quantity, &line.sku]).await?;
    Ok(())
}

fn reservation(id: Uuid, status: &str, total: Money, items: Vec<ReservedLine>) -> Reservation {
    let held = status == ReservationStatus::Held.as_str();
    let status = if held { ReservationStatus::Held } else { ReservationStatus::Released };
    Reservation { id, status, items, total }
}
