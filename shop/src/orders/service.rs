//! The rules about orders.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::task::TaskTracker;
use trellis_sdk::context::{self, RequestContext};
use trellis_sdk::core::error::Result;
use trellis_sdk::core::{Error, codes};
use trellis_sdk::runtime::WallClock;

use super::answer::Answer;
use super::model::{Item, NewOrder, Order, OrderDetail, Status};
use super::repository::{Begun, CancelBegun, Filter, Journal, Key, Keys, Orders};
use super::saga::{Driver, Fault, Outcome, Remotes, Report, Saga};
use crate::codes::{ORDER_BUSY, ORDER_NOT_PLACED};
use crate::demo;
use crate::money::Money;
use crate::paging::{Slice, Window};

/// The module's service layer.
pub(super) struct Service<R> {
    pub(super) orders: Orders,
    pub(super) keys: Keys,
    pub(super) journal: Journal,
    pub(super) driver: Arc<Driver<R>>,
    /// Bounds the orders in the making.
    pub(super) room: Arc<Semaphore>,
    pub(super) tracker: TaskTracker,
    pub(super) clock: WallClock,
}

/// What came of cancelling.
pub(super) struct Cancelled {
    pub(super) order: OrderDetail,
    /// False while things are still being taken back.
    pub(super) is_done: bool,
}

impl<R: Remotes> Service<R> {
    pub(super) async fn list(&self, filter: Filter, window: &Window) -> Result<Slice<Order>> {
        let rows = self.orders.list(filter, window).await?;
        Ok(window.slice(rows, |order| order.id.to_string()))
    }

    pub(super) async fn get(&self, id: i64) -> Result<OrderDetail> {
        self.orders.get(id).await?.ok_or_else(|| missing(id))
    }

    /// Places an order. With a key, the same request again gets the same answer.
    pub(super) async fn place(self: &Arc<Self>, key: Option<String>, order: NewOrder) -> Result<OrderDetail> {
        let order = order.checked()?;
        let key = key.map(|text| Key { text, fingerprint: order.fingerprint() });
        if let Some(key) = &key
            && let Some(known) = self.keys.find(key).await?
        {
            return known.answer(key);
        }
        let permit = self.room()?;
        let (reply, answer) = oneshot::channel();
        let service = self.clone();
        // In a task of its own, so that it goes on if the client goes away.
        self.spawn(async move { service.place_here(key, order, reply, permit).await });
        answer.await.unwrap_or_else(|_| Err(Error::new(codes::INTERNAL, "placing the order was broken off")))
    }

    /// Cancels an order: gives the money and the stock back. Again is the same as once.
    pub(super) async fn cancel(self: &Arc<Self>, id: i64) -> Result<Cancelled> {
        let permit = self.room()?;
        let saga = match self.journal.begin_cancel(id, "cancelled on request".into()).await? {
            CancelBegun::Started(saga) => saga,
            CancelBegun::Missing => return Err(missing(id)),
            CancelBegun::AlreadyCancelled(order) => return Ok(Cancelled { order, is_done: true }),
            CancelBegun::Cancelling => return Ok(Cancelled { order: self.get(id).await?, is_done: false }),
            CancelBegun::Placing => {
                let what = format!("order {id} is still being placed; cancel it when that has ended");
                return Err(Error::new(ORDER_BUSY, what));
            }
        };
        let (report, outcome) = Report::channel();
        let service = self.clone();
        self.spawn(async move { service.drive(saga, report, permit).await });
        let is_done = matches!(outcome.await, Ok(Outcome::Undone));
        Ok(Cancelled { order: self.get(id).await?, is_done })
    }

    /// Fills a new database: Alice has bought, Bob has begun to. Nobody works on Bob's order; it can be cancelled.
    pub(super) async fn seed(&self) -> Result<()> {
        let order = |user_id, sku: &str, minor, status| {
            let amount = Money::from_minor(minor).unwrap_or_default();
            let item = Item { sku: sku.into(), quantity: 1, price: Some(amount) };
            OrderDetail { order: Order { id: 0, user_id, amount, status }, reason: None, items: vec![item] }
        };
        let orders = vec![
            (order(1, demo::FIRST_SKU, demo::FIRST_AMOUNT, Status::Completed), demo::FIRST_ATTEMPT),
            (order(2, demo::SECOND_SKU, demo::SECOND_AMOUNT, Status::Pending), demo::SECOND_ATTEMPT),
        ];
        self.orders.seed(orders, self.clock.unix_millis()).await
    }

    async fn place_here(
        &self,
        key: Option<Key>,
        order: NewOrder,
        reply: oneshot::Sender<Result<OrderDetail>>,
        permit: OwnedSemaphorePermit,
    ) {
        // A client that went away does not want to know.
        let saga = match self.begin(key, order).await {
            Ok(Begun::Started(saga)) => saga,
            Ok(Begun::Known(answer)) => return drop(reply.send(answer)),
            Err(error) => return drop(reply.send(Err(error))),
        };
        let (report, outcome) = Report::channel();
        let answer = async {
            let _ = reply.send(match outcome.await {
                Ok(Outcome::Completed(order)) => Ok(order),
                Ok(Outcome::Failed(error)) => Err(error),
                Ok(Outcome::Undone | Outcome::Undoing) | Err(_) => {
                    Err(Error::new(codes::INTERNAL, "placing the order was broken off"))
                }
            });
        };
        futures_util::future::join(self.drive(saga, report, permit), answer).await;
    }

    async fn drive(&self, saga: Saga, report: Report, _permit: OwnedSemaphorePermit) {
        self.driver.run(saga, report).await;
    }

    /// Asks who orders, then makes the order. Nothing is written for a user who does not exist but the answer.
    async fn begin(&self, key: Option<Key>, order: NewOrder) -> Result<Begun> {
        let customer = match self.driver.customer(order.user_id).await {
            Ok(customer) => customer,
            Err(Fault::Refused(refusal)) => {
                let error = refusal.clone().into_error();
                if let Some(key) = &key {
                    self.keys.keep(key, &Answer::Refused(refusal), self.clock.unix_millis()).await?;
                }
                return Err(error);
            }
            Err(Fault::Failed { error, .. }) => {
                let what = format!("{}; nothing was ordered", error.detail());
                return Err(Error::new(ORDER_NOT_PLACED, what).because(error));
            }
        };
        self.journal.begin(key, order, customer.email).await
    }

    fn room(&self) -> Result<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_owned().map_err(|_| {
            Error::new(
                codes::OVERLOADED,
                "too many orders are in the making; the limit is ORDERS_MAX_RUNNING",
            )
        })
    }

    /// Runs `work` as part of the request's trace, without its deadline: it must come to an end of its own.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        match context::current() {
            Some(context) => {
                let context = RequestContext { deadline: None, ..context };
                self.tracker.spawn(context::scope(context, work));
            }
            None => {
                self.tracker.spawn(work);
            }
        }
    }
}

fn missing(id: i64) -> Error {
    Error::new(codes::NOT_FOUND, format!("there is no order {id}"))
}
