//! The payments' table.

use trellis_sdk::core::error::Result;
use trellis_sdk::database::{Error, Store, Tx, params};
use uuid::Uuid;

use super::model::{Payment, Status};
use crate::paging::Window;

/// Reads and writes payments.
#[derive(Clone)]
pub(super) struct Repository(Store);

impl Repository {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// The store, for a transaction of several steps.
    pub(super) fn store(&self) -> &Store {
        &self.0
    }

    /// Payments after the window's start, by id: the oldest first.
    pub(super) async fn list(&self, window: &Window) -> Result<Vec<Payment>> {
        const SQL: &str = "SELECT id, reference, amount, status, tombstone FROM payments_payments
            WHERE id > $1 AND NOT tombstone ORDER BY id LIMIT $2";
        Ok(self.0.fetch_all(SQL, params![window.after_text(), window.rows()]).await?)
    }

    /// One payment.
    pub(super) async fn get(&self, id: Uuid) -> Result<Option<Payment>> {
        const SQL: &str = "SELECT id, reference, amount, status, tombstone FROM payments_payments
            WHERE id = $1 AND NOT tombstone";
        Ok(self.0.fetch_optional(SQL, params![id.to_string()]).await?)
    }

    /// Puts `payment` into an empty table, once in the life of the database.
    pub(super) async fn seed(&self, payment: Payment, now_ms: i64) -> Result<()> {
        const ONCE: &str =
            "INSERT INTO payments_demo (id, done_ms) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
        self.0
            .write(move |tx| {
                Box::pin(async move {
                    let first = tx.execute(ONCE, params![now_ms]).await? > 0;
                    let present: i64 =
                        tx.fetch_one("SELECT COUNT(*) FROM payments_payments", params![]).await?;
                    if first && present == 0 {
                        insert(tx, &payment, now_ms).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

/// Writes a new payment. False if its reference is taken: on PostgreSQL that waits for whoever is taking it.
pub(super) async fn insert(tx: &mut Tx, payment: &Payment, now_ms: i64) -> Result<bool, Error> {
    const SQL: &str =
        "INSERT INTO payments_payments (id, reference, amount, status, tombstone, created_ms, updated_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (reference) DO NOTHING";
    let Payment { id, reference, amount, status, tombstone } = payment;
    let row = params![id.to_string(), reference, *amount, status.as_str(), *tombstone, now_ms];
    Ok(tx.execute(SQL, row).await? > 0)
}

/// The payment with this id, which no other transaction changes until this one ends.
pub(super) async fn lock_id(tx: &mut Tx, id: Uuid) -> Result<Option<Payment>, Error> {
    // An update that changes nothing holds the row in both databases.
    const SQL: &str = "UPDATE payments_payments SET status = status WHERE id = $1 AND NOT tombstone
        RETURNING id, reference, amount, status, tombstone";
    tx.fetch_optional(SQL, params![id.to_string()]).await
}

/// The payment, or tombstone, with this reference, which no other transaction changes until this one ends.
pub(super) async fn lock_reference(tx: &mut Tx, reference: &str) -> Result<Payment, Error> {
    const SQL: &str = "UPDATE payments_payments SET status = status WHERE reference = $1
        RETURNING id, reference, amount, status, tombstone";
    tx.fetch_one(SQL, params![reference]).await
}

/// Writes a payment's new status.
pub(super) async fn set_status(tx: &mut Tx, id: Uuid, status: Status, now_ms: i64) -> Result<(), Error> {
    const SQL: &str = "UPDATE payments_payments SET status = $1, updated_ms = $2 WHERE id = $3";
    tx.execute(SQL, params![status.as_str(), now_ms, id.to_string()]).await?;
    Ok(())
}
