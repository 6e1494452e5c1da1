//! The work under way on orders, written down so that it survives whoever does it. Each change of an order's state is
//! one transaction here, and only the latest claim on an order may make it.

mod cancelling;
mod takeover;

use std::time::Duration;

use trellis_sdk::core::error::Result;
use trellis_sdk::database::{Error, Store, Tx, params};
use trellis_sdk::runtime::WallClock;
use uuid::Uuid;

use super::{Key, keys, orders, outbox};
use crate::orders::answer::Answer;
use crate::orders::mail;
use crate::orders::model::{NewOrder, OrderDetail, Quote, Status};
use crate::orders::saga::{Saga, Stage, Undo};
use crate::time;
use crate::token::Token;

pub(in crate::orders) use cancelling::CancelBegun;

/// Reads and writes the work under way.
#[derive(Clone)]
pub(in crate::orders) struct Journal {
    store: Store,
    owner: Owner,
    /// How long a claim holds without a sign of life.
    lease: Duration,
    clock: WallClock,
}

/// Who works.
#[derive(Debug, Clone)]
pub(in crate::orders) struct Owner {
    /// The instance, the same over restarts.
    pub(in crate::orders) instance: String,
    /// This run of the program: work of an earlier one has nobody who does it.
    pub(in crate::orders) boot: Uuid,
}

/// What came of beginning an order.
pub(in crate::orders) enum Begun {
    Started(Saga),
    /// The key was used before; this is its answer.
    Known(Result<OrderDetail>),
}

impl Journal {
    pub(in crate::orders) fn new(store: Store, owner: Owner, lease: Duration, clock: WallClock) -> Self {
        Self { store, owner, lease, clock }
    }

    /// Makes the order and the work on it, and takes the client's key, all or none.
    pub(in crate::orders) async fn begin(
        &self,
        key: Option<Key>,
        order: NewOrder,
        email: String,
    ) -> Result<Begun> {
        let (journal, attempt) = (self.clone(), Uuid::now_v7());
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    let now_ms = journal.clock.unix_millis();
                    if let Some(key) = &key
                        && let Some(known) = keys::take(tx, key, now_ms).await?
                    {
                        return Ok(Begun::Known(known.answer(key)));
                    }
                    let order_id = orders::insert(tx, &order, attempt, now_ms).await?;
                    if let Some(key) = &key {
                        keys::assign(tx, key, order_id).await?;
                    }
                    let saga = Saga {
                        order_id,
                        attempt,
                        lines: order.items,
                        stage: Stage::Forward,
                        claim: 1,
                        email: Some(email),
                        token: Some(order.payment_token),
                        undo: Undo::default(),
                        tries: 0,
                    };
                    journal.insert(tx, &saga, None).await?;
                    Ok(Begun::Started(saga))
                })
            })
            .await
    }

    /// The order is paid for: completes it, keeps the answer under its key and posts its mail. `None` if the claim was
    /// lost.
    pub(in crate::orders) async fn complete(&self, saga: &Saga, quote: Quote) -> Result<Option<OrderDetail>> {
        let (journal, saga) = (self.clone(), saga.clone());
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    let now_ms = journal.clock.unix_millis();
                    if end(tx, &saga, Stage::Forward).await?.is_none() {
                        return Ok(None);
                    }
                    orders::price(tx, saga.order_id, &quote).await?;
                    orders::set_status(tx, saga.order_id, Status::Completed, None, now_ms).await?;
                    let order = load(tx, saga.order_id).await?;
                    keys::settle(tx, saga.order_id, &Answer::Placed(order.clone())).await?;
                    if let Some(email) = &saga.email {
                        let key = format!("order-{}-completed", saga.attempt);
                        outbox::post(tx, &key, &mail::confirmation(&order, email), now_ms).await?;
                    }
                    Ok(Some(order))
                })
            })
            .await
    }

    /// The order cannot be placed: decides to take back what was done, or cancels it at once if that is nothing. An
    /// `answer` is kept under its key; without one the key becomes free when the order is cancelled. False if the claim
    /// was lost.
    pub(in crate::orders) async fn fail(
        &self,
        saga: &Saga,
        reason: String,
        answer: Option<Answer>,
        quote: Option<Quote>,
        undo: Undo,
    ) -> Result<bool> {
        const UNDO: &str = "UPDATE orders_sagas SET stage = 'undoing', token = NULL, reason = $1, undo_stock = $2,
                undo_payment = $3, lease_until_ms = $4 WHERE order_id = $5 AND claim = $6 AND stage = 'forward'";
        let (journal, saga) = (self.clone(), saga.clone());
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    let change = params![
                        &reason,
                        undo.stock,
                        undo.payment,
                        journal.lease_end(),
                        saga.order_id,
                        saga.claim
                    ];
                    if tx.execute(UNDO, change).await? == 0 {
                        return Ok(false);
                    }
                    if let Some(quote) = &quote {
                        orders::price(tx, saga.order_id, quote).await?;
                    }
                    if let Some(answer) = &answer {
                        keys::settle(tx, saga.order_id, answer).await?;
                    }
                    if undo.is_nothing() {
                        journal.cancel_in(tx, &saga).await?;
                    }
                    Ok(true)
                })
            })
            .await
    }

    /// Everything was taken back: the order is cancelled. False if the claim was lost.
    pub(in crate::orders) async fn cancelled(&self, saga: &Saga) -> Result<bool> {
        let (journal, saga) = (self.clone(), saga.clone());
        self.store.write(move |tx| Box::pin(async move { Ok(journal.cancel_in(tx, &saga).await?) })).await
    }

    /// Taking back failed: anyone may go on at `due_ms`.
    pub(in crate::orders) async fn postpone(&self, saga: &Saga, due_ms: i64) -> Result<()> {
        const SQL: &str = "UPDATE orders_sagas SET tries = $1, due_ms = $2, lease_until_ms = 0
            WHERE order_id = $3 AND claim = $4";
        self.store
            .execute(SQL, params![saga.tries.saturating_add(1), due_ms, saga.order_id, saga.claim])
            .await?;
        Ok(())
    }

    /// The work's row; false if there is one for this order.
    async fn insert(&self, tx: &mut Tx, saga: &Saga, reason: Option<&str>) -> Result<bool, Error> {
        const SQL: &str =
            "INSERT INTO orders_sagas (order_id, stage, owner, boot, lease_until_ms, claim, due_ms,
                tries, email, token, reason, undo_stock, undo_payment)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10, $11, $12) ON CONFLICT (order_id) DO NOTHING";
        let row = params![
            saga.order_id,
            saga.stage.as_str(),
            &self.owner.instance,
            self.owner.boot.to_string(),
            self.lease_end(),
            saga.claim,
            self.clock.unix_millis(),
            saga.email.clone(),
            saga.token.as_ref().map(Token::reveal),
            reason,
            saga.undo.stock,
            saga.undo.payment,
        ];
        Ok(tx.execute(SQL, row).await? > 0)
    }

    async fn cancel_in(&self, tx: &mut Tx, saga: &Saga) -> Result<bool, Error> {
        let Some(reason) = end(tx, saga, Stage::Undoing).await? else { return Ok(false) };
        let now_ms = self.clock.unix_millis();
        orders::set_status(tx, saga.order_id, Status::Cancelled, reason.as_deref(), now_ms).await?;
        keys::free(tx, saga.order_id).await?;
        Ok(true)
    }

    fn lease_end(&self) -> i64 {
        time::after(self.clock.unix_millis(), self.lease)
    }
}

/// Ends the work, if this claim is still the latest; its reason.
async fn end(tx: &mut Tx, saga: &Saga, stage: Stage) -> Result<Option<Option<String>>, Error> {
    const SQL: &str =
        "DELETE FROM orders_sagas WHERE order_id = $1 AND claim = $2 AND stage = $3 RETURNING reason";
    tx.fetch_optional(SQL, params![saga.order_id, saga.claim, stage.as_str()]).await
}

async fn attempt(tx: &mut Tx, order_id: i64) -> Result<Option<Uuid>, Error> {
    let attempt = tx
        .fetch_optional::<String>("SELECT attempt FROM orders_orders WHERE id = $1", params![order_id])
        .await?;
    attempt
        .map(|text| Uuid::parse_str(&text).map_err(|_| Error::Decode("an attempt is no UUID".into())))
        .transpose()
}

async fn load(tx: &mut Tx, order_id: i64) -> Result<OrderDetail, Error> {
    orders::load(tx, order_id).await?.ok_or_else(|| Error::NoRow(format!("order {order_id}")))
}
