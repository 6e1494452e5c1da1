//! The messages' table, which is also the queue.

use trellis_sdk::core::error::Result;
use trellis_sdk::database::{Error, Store, params};
use uuid::Uuid;

use super::model::{Message, MessageInput, Status};
use crate::paging::Window;

/// Reads and writes messages.
#[derive(Clone)]
pub(super) struct Repository(Store);

/// A message in the queue, and whether this request put it there.
pub(super) struct Queued {
    pub(super) message: Message,
    pub(super) is_new: bool,
}

impl Repository {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Messages after the window's start, by id: the oldest first.
    pub(super) async fn list(&self, window: &Window) -> Result<Vec<Message>> {
        const SQL: &str = "SELECT id, recipient, subject, body, status, attempts, last_error, created_ms
            FROM notifications_messages WHERE id > $1 ORDER BY id LIMIT $2";
        Ok(self.0.fetch_all(SQL, params![window.after_text(), window.rows()]).await?)
    }

    /// One message.
    pub(super) async fn get(&self, id: Uuid) -> Result<Option<Message>> {
        const SQL: &str = "SELECT id, recipient, subject, body, status, attempts, last_error, created_ms
            FROM notifications_messages WHERE id = $1";
        Ok(self.0.fetch_optional(SQL, params![id.to_string()]).await?)
    }

    /// Queues a message, unless one with this key is there.
    pub(super) async fn queue(
        &self,
        id: Uuid,
        key: Option<String>,
        input: MessageInput,
        now_ms: i64,
    ) -> Result<Queued> {
        const INSERT: &str =
            "INSERT INTO notifications_messages (id, idempotency_key, recipient, subject, body,
                status, attempts, due_ms, lease_until_ms, created_ms)
            VALUES ($1, $2, $3, $4, $5, 'queued', 0, $6, 0, $6)
            ON CONFLICT (idempotency_key) DO NOTHING
            RETURNING id, recipient, subject, body, status, attempts, last_error, created_ms";
        const PRESENT: &str = "SELECT id, recipient, subject, body, status, attempts, last_error, created_ms
            FROM notifications_messages WHERE idempotency_key = $1";
        self.0
            .write(move |tx| {
                Box::pin(async move {
                    let row =
                        params![id.to_string(), key.clone(), input.to, input.subject, input.text, now_ms];
                    if let Some(message) = tx.fetch_optional(INSERT, row).await? {
                        return Ok(Queued { message, is_new: true });
                    }
                    let message = tx.fetch_one(PRESENT, params![key]).await?;
                    Ok(Queued { message, is_new: false })
                })
            })
            .await
    }

    /// Takes up to `most` messages that are due, for as long as the lease: nobody else takes them before.
    pub(super) async fn claim(
        &self,
        most: i64,
        now_ms: i64,
        lease_until_ms: i64,
    ) -> Result<Vec<Message>, Error> {
        const ANY: &str = "SELECT id FROM notifications_messages
            WHERE status = 'queued' AND due_ms <= $1 AND lease_until_ms <= $1 LIMIT 1";
        // The condition is repeated outside because PostgreSQL checks it again there when another claim came first.
        const CLAIM: &str = "UPDATE notifications_messages SET lease_until_ms = $1
            WHERE id IN (
                SELECT id FROM notifications_messages
                WHERE status = 'queued' AND due_ms <= $2 AND lease_until_ms <= $2 ORDER BY due_ms LIMIT $3)
            AND status = 'queued' AND lease_until_ms <= $2
            RETURNING id, recipient, subject, body, status, attempts, last_error, created_ms";
        if self.0.fetch_optional::<String>(ANY, params![now_ms]).await?.is_none() {
            return Ok(Vec::new());
        }
        let claim = params![lease_until_ms, now_ms, most];
        self.0.write(move |tx| Box::pin(async move { tx.fetch_all(CLAIM, claim).await })).await
    }

    /// Writes down what came of a delivery, and when to try again if that is to be.
    pub(super) async fn settle(
        &self,
        id: Uuid,
        status: Status,
        attempts: u32,
        error: Option<String>,
        due_ms: i64,
    ) -> Result<(), Error> {
        const SQL: &str = "UPDATE notifications_messages
            SET status = $1, attempts = $2, last_error = $3, due_ms = $4, lease_until_ms = 0 WHERE id = $5";
        self.0.execute(SQL, params![status.as_str(), attempts, error, due_ms, id.to_string()]).await?;
        Ok(())
    }
}
