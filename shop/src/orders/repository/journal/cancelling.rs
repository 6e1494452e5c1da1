//! Beginning to cancel an order that was placed.

use trellis_sdk::core::error::Result;
use trellis_sdk::database::{Error, Tx, params};

use super::{Journal, attempt, end, load};
use crate::orders::model::{OrderDetail, Status};
use crate::orders::saga::{Saga, Stage, Undo};

/// What came of beginning to cancel an order.
pub(in crate::orders) enum CancelBegun {
    Started(Saga),
    Missing,
    AlreadyCancelled(OrderDetail),
    /// It is being placed: it cannot be cancelled yet.
    Placing,
    /// Somebody is at it.
    Cancelling,
}

impl Journal {
    /// Begins to cancel an order that nobody works on.
    pub(in crate::orders) async fn begin_cancel(&self, order_id: i64, reason: String) -> Result<CancelBegun> {
        let journal = self.clone();
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    let Some(attempt) = attempt(tx, order_id).await? else { return Ok(CancelBegun::Missing) };
                    let saga = Saga {
                        order_id,
                        attempt,
                        lines: Vec::new(),
                        stage: Stage::Undoing,
                        claim: 1,
                        email: None,
                        token: None,
                        undo: Undo { stock: true, payment: true },
                        tries: 0,
                    };
                    if !journal.insert(tx, &saga, Some(&reason)).await? {
                        return Ok(under_way(tx, order_id).await?);
                    }
                    // Read only now: whoever worked on the order before has ended.
                    let order = load(tx, order_id).await?;
                    if order.order.status == Status::Cancelled {
                        end(tx, &saga, Stage::Undoing).await?;
                        return Ok(CancelBegun::AlreadyCancelled(order));
                    }
                    Ok(CancelBegun::Started(saga))
                })
            })
            .await
    }
}

async fn under_way(tx: &mut Tx, order_id: i64) -> Result<CancelBegun, Error> {
    let sql = "SELECT stage FROM orders_sagas WHERE order_id = $1";
    let stage: Option<String> = tx.fetch_optional(sql, params![order_id]).await?;
    let is_undoing = stage.is_none_or(|stage| stage == Stage::Undoing.as_str());
    Ok(if is_undoing { CancelBegun::Cancelling } else { CancelBegun::Placing })
}
