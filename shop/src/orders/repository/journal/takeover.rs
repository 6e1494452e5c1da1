//! Taking over work that nobody does any more.

use trellis_sdk::core::error::Result;
use trellis_sdk::database::{Error, FromRow, Row, params};
use uuid::Uuid;

use super::{Journal, attempt};
use crate::orders::model::Line;
use crate::orders::saga::{Saga, Stage, Undo};
use crate::token::Token;

impl Journal {
    /// Takes over up to `most` pieces of work that nobody does any more: our own from an earlier run at once, others'
    /// when their lease has ended.
    pub(in crate::orders) async fn claim_due(&self, most: usize) -> Result<Vec<Saga>> {
        const ANY: &str = "SELECT order_id FROM orders_sagas WHERE due_ms <= $1
            AND (lease_until_ms <= $1 OR (owner = $2 AND boot <> $3)) LIMIT 1";
        // The condition is repeated outside because PostgreSQL checks it again there when another claim came first.
        const CLAIM: &str =
            "UPDATE orders_sagas SET owner = $2, boot = $3, lease_until_ms = $4, claim = claim + 1
            WHERE order_id IN (
                SELECT order_id FROM orders_sagas WHERE due_ms <= $1
                AND (lease_until_ms <= $1 OR (owner = $2 AND boot <> $3)) ORDER BY due_ms LIMIT $5)
            AND (lease_until_ms <= $1 OR (owner = $2 AND boot <> $3))
            RETURNING order_id, stage, claim, email, token, tries, undo_stock, undo_payment";
        let (owner, boot) = (self.owner.instance.clone(), self.owner.boot.to_string());
        let now_ms = self.clock.unix_millis();
        if self.store.fetch_optional::<i64>(ANY, params![now_ms, &owner, &boot]).await?.is_none() {
            return Ok(Vec::new());
        }
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let claim = params![now_ms, owner, boot, self.lease_end(), most];
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    let mut sagas: Vec<Saga> = tx.fetch_all(CLAIM, claim).await?;
                    for saga in &mut sagas {
                        const LINES: &str =
                            "SELECT sku, quantity FROM orders_items WHERE order_id = $1 ORDER BY position";
                        saga.attempt = attempt(tx, saga.order_id).await?.unwrap_or_default();
                        saga.lines = tx.fetch_all(LINES, params![saga.order_id]).await?;
                    }
                    Ok(sagas)
                })
            })
            .await
    }
}

impl FromRow for Saga {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let stage: String = row.get("stage")?;
        let is_forward = stage == Stage::Forward.as_str();
        Ok(Self {
            order_id: row.get("order_id")?,
            attempt: Uuid::nil(),
            lines: Vec::new(),
            stage: if is_forward { Stage::Forward } else { Stage::Undoing },
            claim: row.get("claim")?,
            email: row.get("email")?,
            token: row.get::<Option<String>>("token")?.map(Token::new),
            undo: Undo { stock: row.get("undo_stock")?, payment: row.get("undo_payment")? },
            tries: row.get("tries")?,
        })
    }
}

impl FromRow for Line {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self { sku: row.get("sku")?, quantity: row.get("quantity")? })
    }
}
