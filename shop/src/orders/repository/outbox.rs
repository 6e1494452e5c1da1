//! Mail that was promised together with an order and is still to be handed on.

use trellis_sdk::database::{Error, FromRow, Row, Store, Tx, params};

use crate::orders::mail::Mail;

/// Reads and writes the outbox.
#[derive(Clone)]
pub(in crate::orders) struct Outbox(Store);

/// One mail in the outbox.
#[derive(Debug, Clone)]
pub(in crate::orders) struct Posted {
    pub(in crate::orders) id: i64,
    /// Makes handing it on twice the same as once.
    pub(in crate::orders) key: String,
    pub(in crate::orders) mail: Mail,
    pub(in crate::orders) tries: u32,
}

impl Outbox {
    pub(in crate::orders) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Takes up to `most` mails that are due, for as long as the lease.
    pub(in crate::orders) async fn claim(
        &self,
        most: i64,
        now_ms: i64,
        lease_until_ms: i64,
    ) -> Result<Vec<Posted>, Error> {
        const ANY: &str = "SELECT id FROM orders_outbox
            WHERE NOT refused AND due_ms <= $1 AND lease_until_ms <= $1 LIMIT 1";
        // The condition is repeated outside because PostgreSQL checks it again there when another claim came first.
        const CLAIM: &str = "UPDATE orders_outbox SET lease_until_ms = $1
            WHERE id IN (
                SELECT id FROM orders_outbox
                WHERE NOT refused AND due_ms <= $2 AND lease_until_ms <= $2 ORDER BY due_ms LIMIT $3)
            AND lease_until_ms <= $2
            RETURNING id, key, recipient, subject, body, tries";
        if self.0.fetch_optional::<i64>(ANY, params![now_ms]).await?.is_none() {
            return Ok(Vec::new());
        }
        let claim = params![lease_until_ms, now_ms, most];
        self.0.write(move |tx| Box::pin(async move { tx.fetch_all(CLAIM, claim).await })).await
    }

    /// It is handed on.
    pub(in crate::orders) async fn remove(&self, id: i64) -> Result<(), Error> {
        self.0.execute("DELETE FROM orders_outbox WHERE id = $1", params![id]).await?;
        Ok(())
    }

    /// It is to be tried again at `due_ms`.
    pub(in crate::orders) async fn postpone(&self, id: i64, tries: u32, due_ms: i64) -> Result<(), Error> {
        const SQL: &str =
            "UPDATE orders_outbox SET tries = $1, due_ms = $2, lease_until_ms = 0 WHERE id = $3";
        self.0.execute(SQL, params![tries, due_ms, id]).await?;
        Ok(())
    }

    /// It will not be taken: it stays for the operator to see.
    pub(in crate::orders) async fn refuse(&self, id: i64) -> Result<(), Error> {
        self.0.execute("UPDATE orders_outbox SET refused = TRUE WHERE id = $1", params![id]).await?;
        Ok(())
    }
}

/// Puts a mail into the outbox, in the transaction it belongs to.
pub(super) async fn post(tx: &mut Tx, key: &str, mail: &Mail, now_ms: i64) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO orders_outbox
            (key, recipient, subject, body, tries, due_ms, lease_until_ms, refused)
        VALUES ($1, $2, $3, $4, 0, $5, 0, FALSE)";
    tx.execute(SQL, params![key, &mail.to, &mail.subject, &mail.text, now_ms]).await?;
    Ok(())
}

impl FromRow for Posted {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let mail = Mail { to: row.get("recipient")?, subject: row.get("subject")?, text: row.get("body")? };
        Ok(Self { id: row.get("id")?, key: row.get("key")?, mail, tries: row.get("tries")? })
    }
}
