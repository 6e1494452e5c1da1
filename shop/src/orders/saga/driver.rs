//! Drives one order to its end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep};
use trellis_sdk::core::Error;
use trellis_sdk::core::error::{Result, chain};
use trellis_sdk::runtime::WallClock;

use super::remotes::{Customer, Fault, Remotes};
use super::{Saga, Stage, Undo};
use crate::backoff::Backoff;
use crate::codes::{ORDER_NOT_PLACED, ORDER_TAKEN_OVER};
use crate::orders::answer::{Answer, Refusal};
use crate::orders::model::{OrderDetail, Quote, Status};
use crate::orders::repository::{Journal, Orders};
use crate::time;

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(in crate::orders) struct Policy {
    /// How long placing an order may go on before it is undone.
    pub(in crate::orders) patience: Duration,
    /// Between tries of a step.
    pub(in crate::orders) retry: Backoff,
    /// Between tries of taking back, which never end.
    pub(in crate::orders) undo: Backoff,
    /// How long a client waits to see things taken back before it is told that they will be.
    pub(in crate::orders) tidy: Duration,
    /// How often placing an order may be taken over before it is undone.
    pub(in crate::orders) max_claims: i64,
}

/// Does the work on orders. Clones share everything.
pub(in crate::orders) struct Driver<R> {
    pub(in crate::orders) remotes: Arc<R>,
    pub(in crate::orders) journal: Journal,
    pub(in crate::orders) orders: Orders,
    pub(in crate::orders) policy: Policy,
    pub(in crate::orders) clock: WallClock,
    /// Rung when there is mail to hand on.
    pub(in crate::orders) mail_bell: Arc<Notify>,
}

/// What came of the work.
#[derive(Debug)]
pub(in crate::orders) enum Outcome {
    /// The order is placed.
    Completed(OrderDetail),
    /// It is not, and what was done is taken back now or soon.
    Failed(Error),
    /// It was cancelled, and all is taken back.
    Undone,
    /// It will be cancelled.
    Undoing,
}

/// Tells whoever waits, if anyone, once.
#[derive(Debug, Default)]
pub(in crate::orders) struct Report(Option<oneshot::Sender<Outcome>>);

/// Why a step, and with it the order, came to nothing.
struct Stopped {
    fault: Fault,
    quote: Option<Quote>,
}

impl<R: Remotes> Driver<R> {
    /// Asks who orders, with patience.
    pub(in crate::orders) async fn customer(&self, user_id: i64) -> Result<Customer, Fault> {
        let deadline = Instant::now() + self.policy.patience;
        self.insist(deadline, &mut false, || self.remotes.customer(user_id)).await
    }

    /// Brings the order to its end, or as far as it gets; the recovery does the rest.
    pub(in crate::orders) async fn run(&self, mut saga: Saga, report: Report) {
        let mut failure = None;
        if saga.stage == Stage::Forward {
            match self.place(&mut saga).await {
                Ok(order) => return report.send(Outcome::Completed(order)),
                Err(error) if saga.stage == Stage::Forward => return report.send(Outcome::Failed(error)),
                Err(error) => failure = Some(error),
            }
        }
        let outcome = |undone: bool| match failure {
            Some(error) => Outcome::Failed(error),
            None if undone => Outcome::Undone,
            None => Outcome::Undoing,
        };
        if saga.undo.is_nothing() {
            return report.send(outcome(true));
        }
        let undo = self.undo(&saga);
        tokio::pin!(undo);
        tokio::select! {
            undone = &mut undo => report.send(outcome(undone)),
            () = sleep(self.policy.tidy) => {
                report.send(outcome(false));
                undo.await;
            }
        }
    }

    /// Places the order. After an error the saga is in the stage of undoing if that was decided and written down.
    async fn place(&self, saga: &mut Saga) -> Result<OrderDetail> {
        // A driver before us may have done anything; we have done nothing yet.
        let taken_over = saga.claim > 1;
        let mut undo = Undo { stock: taken_over, payment: taken_over };
        let stopped = match self.steps(saga, &mut undo).await {
            Ok(quote) => return self.complete(saga, quote).await,
            Err(stopped) => stopped,
        };
        let reason = stopped.fault.reason();
        let (error, answer) = match stopped.fault {
            Fault::Refused(refusal) => (refusal.clone().into_error(), Some(Answer::Refused(refusal))),
            Fault::Failed { error, .. } => {
                (Error::new(ORDER_NOT_PLACED, reason.clone()).because(error), None)
            }
        };
        let quote = stopped.quote;
        let failing = || self.journal.fail(saga, reason.clone(), answer.clone(), quote.clone(), undo);
        if !self.persist(failing).await? {
            return self.taken_over(saga).await;
        }
        saga.stage = Stage::Undoing;
        saga.undo = undo;
        Err(error)
    }

    /// Reserve, authorise, capture: `undo` collects what may have been done.
    async fn steps(&self, saga: &Saga, undo: &mut Undo) -> Result<Quote, Stopped> {
        let without_quote = |fault| Stopped { fault, quote: None };
        let Some(token) = saga.token.as_ref().filter(|_| saga.claim <= self.policy.max_claims) else {
            let error = Error::new(ORDER_NOT_PLACED, "placing the order was interrupted too often");
            return Err(without_quote(Fault::Failed { error, may_be_done: true, may_pass: false }));
        };
        let deadline = Instant::now() + self.policy.patience;
        let (attempt, remotes) = (saga.attempt, &self.remotes);
        let reserve = || remotes.reserve(attempt, &saga.lines);
        let quote = self.insist(deadline, &mut undo.stock, reserve).await.map_err(without_quote)?;
        let pay = async {
            let authorise = || remotes.authorise(attempt, quote.total, token);
            let payment = self.insist(deadline, &mut undo.payment, authorise).await?;
            self.insist(deadline, &mut undo.payment, || remotes.capture(payment)).await
        };
        match pay.await {
            Ok(()) => Ok(quote),
            Err(fault) => Err(Stopped { fault, quote: Some(quote) }),
        }
    }

    async fn complete(&self, saga: &Saga, quote: Quote) -> Result<OrderDetail> {
        match self.persist(|| self.journal.complete(saga, quote.clone())).await? {
            Some(order) => {
                self.mail_bell.notify_one();
                Ok(order)
            }
            None => self.taken_over(saga).await,
        }
    }

    /// Takes back what may have been done and cancels the order; whether that is finished.
    async fn undo(&self, saga: &Saga) -> bool {
        let stock = async { if saga.undo.stock { self.remotes.release(saga.attempt).await } else { Ok(()) } };
        let payment =
            async { if saga.undo.payment { self.remotes.void(saga.attempt).await } else { Ok(()) } };
        let (stock, payment) = join(stock, payment).await;
        let failure = match stock.and(payment) {
            Ok(()) => match self.journal.cancelled(saga).await {
                Ok(_) => return true,
                Err(error) => chain(&error),
            },
            Err(fault) => fault.describe(),
        };
        let tries = saga.tries.saturating_add(1);
        let wait = self.policy.undo.wait(tries, fastrand::f64());
        tracing::warn!(
            order = saga.order_id,
            tries,
            error = failure,
            "an order is not undone yet; it will be tried again"
        );
        let due_ms = time::after(self.clock.unix_millis(), wait);
        if let Err(error) = self.journal.postpone(saga, due_ms).await {
            // The lease ends by itself.
            tracing::warn!(
                order = saga.order_id,
                error = chain(&error),
                "an order under way cannot be written"
            );
        }
        false
    }

    /// Repeats `call` until it is answered or refused, repeating it is of no use, or `deadline` is near. `touched` becomes true as soon as it may
    /// have had an effect.
    async fn insist<T, F>(
        &self,
        deadline: Instant,
        touched: &mut bool,
        call: impl Fn() -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut tries = 0;
        loop {
            let fault = match call().await {
                Ok(value) => {
                    *touched = true;
                    return Ok(value);
                }
                Err(fault) => fault,
            };
            let Fault::Failed { may_be_done, may_pass, .. } = fault else { return Err(fault) };
            *touched |= may_be_done;
            tries += 1;
            let next = Instant::now() + self.policy.retry.wait(tries, fastrand::f64());
            if !may_pass || next >= deadline {
                return Err(fault);
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// Repeats a change of the journal while the database is unavailable, for as long as our patience lasts. That it
    /// may have been kept although it failed does no harm: the second time finds nothing to do.
    async fn persist<T, F: Future<Output = Result<T>>>(&self, change: impl Fn() -> F) -> Result<T> {
        let deadline = Instant::now() + self.policy.patience;
        let mut tries = 0;
        loop {
            let error = match change().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            tries += 1;
            let next = Instant::now() + self.policy.retry.wait(tries, fastrand::f64());
            if error.status() != 503 || next >= deadline {
                return Err(error);
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// Our claim is gone: someone else ended the order or works on it, or an earlier try of ours was kept after all.
    async fn taken_over(&self, saga: &Saga) -> Result<OrderDetail> {
        let order = self.orders.get(saga.order_id).await?;
        order.filter(|order| order.order.status == Status::Completed).ok_or_else(|| {
            let id = saga.order_id;
            Error::new(ORDER_TAKEN_OVER, format!("order {id} is being finished by another instance"))
                .with("order_id", id)
        })
    }
}

impl Report {
    /// A report, and where it arrives.
    pub(in crate::orders) fn channel() -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(sender)), receiver)
    }

    fn send(self, outcome: Outcome) {
        if let Some(sender) = self.0 {
            // A client that went away does not want to know.
            let _ = sender.send(outcome);
        }
    }
}

impl Fault {
    /// What the order's history says.
    fn reason(&self) -> String {
        match self {
            Self::Refused(Refusal { detail, .. }) => detail.clone(),
            Self::Failed { error, .. } => format!("{}; nothing is charged", error.detail()),
        }
    }
}
