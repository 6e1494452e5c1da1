//! Clients' idempotency keys and the answers given under them.

use trellis_sdk::core::error::{Result, chain};
use trellis_sdk::core::{self, codes};
use trellis_sdk::database::{Error, FromRow, Row, Store, Tx, params};

use crate::orders::answer::Answer;
use crate::orders::model::OrderDetail;

/// Reads and writes keys.
#[derive(Clone)]
pub(in crate::orders) struct Keys(Store);

/// A key with what was asked under it.
#[derive(Debug, Clone)]
pub(in crate::orders) struct Key {
    pub(in crate::orders) text: String,
    pub(in crate::orders) fingerprint: String,
}

/// A key that was used before.
#[derive(Debug)]
pub(in crate::orders) struct Known {
    fingerprint: String,
    /// None while the first request is under way.
    answer: Option<Answer>,
}

const FIND: &str = "SELECT fingerprint, answer FROM orders_keys WHERE key = $1";

impl Keys {
    pub(in crate::orders) fn new(store: Store) -> Self {
        Self(store)
    }

    /// What is known of a key.
    pub(in crate::orders) async fn find(&self, key: &Key) -> Result<Option<Known>> {
        Ok(self.0.fetch_optional(FIND, params![&key.text]).await?)
    }

    /// Keeps the answer to a request that did not come to an order, unless the key is in use by now.
    pub(in crate::orders) async fn keep(&self, key: &Key, answer: &Answer, now_ms: i64) -> Result<()> {
        const SQL: &str =
            "INSERT INTO orders_keys (key, fingerprint, answer, created_ms) VALUES ($1, $2, $3, $4)
            ON CONFLICT (key) DO NOTHING";
        let row = params![&key.text, &key.fingerprint, text(answer)?, now_ms];
        self.0.execute(SQL, row).await?;
        Ok(())
    }

    /// Forgets up to `most` keys that were answered and are older than `before_ms`; how many they were.
    pub(in crate::orders) async fn purge(&self, before_ms: i64, most: i64) -> Result<u64, Error> {
        const SQL: &str = "DELETE FROM orders_keys WHERE key IN (
            SELECT key FROM orders_keys WHERE created_ms < $1 AND answer IS NOT NULL LIMIT $2)";
        self.0.execute(SQL, params![before_ms, most]).await
    }
}

impl Known {
    /// The answer to a request that comes with `key`.
    pub(in crate::orders) fn answer(self, key: &Key) -> Result<OrderDetail> {
        if self.fingerprint != key.fingerprint {
            let what = "this Idempotency-Key was used for another order";
            return Err(core::Error::new(codes::IDEMPOTENCY_MISMATCH, what));
        }
        match self.answer {
            Some(answer) => answer.into_result(),
            None => Err(core::Error::new(
                codes::IDEMPOTENCY_IN_PROGRESS,
                "the first order with this Idempotency-Key is under way",
            )),
        }
    }
}

/// Takes the key for an order that is about to be made, or tells what is known of it.
pub(super) async fn take(tx: &mut Tx, key: &Key, now_ms: i64) -> Result<Option<Known>, Error> {
    const SQL: &str = "INSERT INTO orders_keys (key, fingerprint, created_ms) VALUES ($1, $2, $3)
        ON CONFLICT (key) DO NOTHING";
    if tx.execute(SQL, params![&key.text, &key.fingerprint, now_ms]).await? > 0 {
        return Ok(None);
    }
    let known = tx.fetch_optional(FIND, params![&key.text]).await?;
    // On PostgreSQL it may have become free in between: the client asks again.
    Ok(Some(known.unwrap_or_else(|| Known { fingerprint: key.fingerprint.clone(), answer: None })))
}

/// Says which order a taken key is for.
pub(super) async fn assign(tx: &mut Tx, key: &Key, order_id: i64) -> Result<(), Error> {
    tx.execute("UPDATE orders_keys SET order_id = $1 WHERE key = $2", params![order_id, &key.text]).await?;
    Ok(())
}

/// Keeps the answer to the order's request.
pub(super) async fn settle(tx: &mut Tx, order_id: i64, answer: &Answer) -> Result<(), Error> {
    const SQL: &str = "UPDATE orders_keys SET answer = $1 WHERE order_id = $2 AND answer IS NULL";
    tx.execute(SQL, params![text(answer)?, order_id]).await?;
    Ok(())
}

/// Frees the order's key if no answer is kept under it: the client may try again.
pub(super) async fn free(tx: &mut Tx, order_id: i64) -> Result<(), Error> {
    tx.execute("DELETE FROM orders_keys WHERE order_id = $1 AND answer IS NULL", params![order_id]).await?;
    Ok(())
}

fn text(answer: &Answer) -> Result<String, Error> {
    serde_json::to_string(answer).map_err(|error| Error::Invalid(chain(&error)))
}

impl FromRow for Known {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let answer: Option<String> = row.get("answer")?;
        let answer = answer.map(|text| serde_json::from_str(&text)).transpose();
        Ok(Self {
            fingerprint: row.get("fingerprint")?,
            answer: answer.map_err(|error| Error::Decode(chain(&error)))?,
        })
    }
}
