//! The rules about payments: each reference is paid at most once, and every step can be repeated without harm.

use trellis_sdk::core::error::Result;
use trellis_sdk::core::{Error, codes};
use trellis_sdk::runtime::WallClock;
use uuid::Uuid;

use super::model::{Action, AuthoriseInput, Payment, Status, VoidInput};
use super::provider::{self, Decision};
use super::repository::{self, Repository};
use crate::codes::{PAYMENT_CLOSED, PAYMENT_DECLINED, PAYMENT_STATE, UNKNOWN_TOKEN};
use crate::demo;
use crate::money::Money;
use crate::paging::{Slice, Window};

/// The module's service layer.
#[derive(Clone)]
pub(crate) struct Payments {
    repository: Repository,
    clock: WallClock,
}

/// A payment, and whether this request made it.
pub(super) struct Authorised {
    pub(super) payment: Payment,
    pub(super) is_new: bool,
}

impl Payments {
    pub(super) fn new(repository: Repository, clock: WallClock) -> Self {
        Self { repository, clock }
    }

    pub(super) async fn list(&self, window: &Window) -> Result<Slice<Payment>> {
        let rows = self.repository.list(window).await?;
        Ok(window.slice(rows, |payment| payment.id.to_string()))
    }

    pub(super) async fn get(&self, id: Uuid) -> Result<Payment> {
        self.repository.get(id).await?.ok_or_else(missing)
    }

    /// Sets money aside. The same reference again gets the same answer, also if that was no.
    pub(super) async fn authorise(&self, input: AuthoriseInput) -> Result<Authorised> {
        let AuthoriseInput { reference, amount, token } = input.checked()?;
        let status = match provider::decide(&token) {
            Decision::Approved => Status::Authorised,
            Decision::Declined => Status::Declined,
            Decision::UnknownToken => {
                return Err(Error::new(UNKNOWN_TOKEN, "the payment provider does not know this token"));
            }
        };
        let payment = Payment { id: Uuid::now_v7(), reference, amount, status, tombstone: false };
        let now_ms = self.clock.unix_millis();
        let store = self.repository.store();
        let authorised: Authorised = store
            .write(move |tx| {
                Box::pin(async move {
                    if repository::insert(tx, &payment, now_ms).await? {
                        return Ok(Authorised { payment, is_new: true });
                    }
                    let payment = repository::lock_reference(tx, &payment.reference).await?;
                    Ok::<_, Error>(Authorised { payment, is_new: false })
                })
            })
            .await?;
        answer(authorised, amount)
    }

    /// Takes the money that was set aside.
    pub(super) async fn capture(&self, id: Uuid) -> Result<Payment> {
        self.change(id, Action::Capture).await
    }

    /// Gives back what was taken, or no longer sets it aside.
    pub(super) async fn refund(&self, id: Uuid) -> Result<Payment> {
        self.change(id, Action::Undo).await
    }

    /// Undoes whatever was paid under a reference. An unknown one is remembered as voided, so that nothing can be paid
    /// under it later: the request may still be on its way, sent by someone who has given up.
    pub(super) async fn void(&self, input: VoidInput) -> Result<Payment> {
        let VoidInput { reference } = input.checked()?;
        let now_ms = self.clock.unix_millis();
        let amount = Money::default();
        let tombstone =
            Payment { id: Uuid::now_v7(), reference, amount, status: Status::Voided, tombstone: true };
        let store = self.repository.store();
        store
            .write(move |tx| {
                Box::pin(async move {
                    if repository::insert(tx, &tombstone, now_ms).await? {
                        return Ok(tombstone);
                    }
                    let payment = repository::lock_reference(tx, &tombstone.reference).await?;
                    // A declined payment holds no money: there is nothing to undo.
                    let status = payment.status.after(Action::Undo).unwrap_or(payment.status);
                    if status != payment.status {
                        repository::set_status(tx, payment.id, status, now_ms).await?;
                    }
                    Ok(Payment { status, ..payment })
                })
            })
            .await
    }

    /// Fills a new database with Alice's payment.
    pub(super) async fn seed(&self) -> Result<()> {
        let payment = Payment {
            id: demo::FIRST_ATTEMPT,
            reference: demo::FIRST_ATTEMPT.to_string(),
            amount: Money::from_minor(demo::FIRST_AMOUNT).unwrap_or_default(),
            status: Status::Captured,
            tombstone: false,
        };
        self.repository.seed(payment, self.clock.unix_millis()).await
    }

    async fn change(&self, id: Uuid, action: Action) -> Result<Payment> {
        let now_ms = self.clock.unix_millis();
        let store = self.repository.store();
        store
            .write(move |tx| {
                Box::pin(async move {
                    let payment = repository::lock_id(tx, id).await?.ok_or_else(missing)?;
                    let status = payment.status.after(action).ok_or_else(|| refused(&payment, action))?;
                    if status != payment.status {
                        repository::set_status(tx, id, status, now_ms).await?;
                    }
                    Ok(Payment { status, ..payment })
                })
            })
            .await
    }
}

/// What the one who asks for money is told.
fn answer(authorised: Authorised, amount: Money) -> Result<Authorised> {
    let payment = &authorised.payment;
    if payment.tombstone || matches!(payment.status, Status::Voided | Status::Refunded) {
        return Err(Error::new(
            PAYMENT_CLOSED,
            "the payment with this reference was voided and cannot be made again",
        ));
    }
    if payment.amount != amount {
        return Err(Error::new(codes::IDEMPOTENCY_MISMATCH, "this reference was used for another amount"));
    }
    if payment.status == Status::Declined {
        return Err(Error::new(PAYMENT_DECLINED, "the payment provider declined the payment"));
    }
    Ok(authorised)
}

fn refused(payment: &Payment, action: Action) -> Error {
    let verb = match action {
        Action::Capture => "captured",
        Action::Undo => "refunded",
    };
    let status = payment.status.as_str();
    Error::new(PAYMENT_STATE, format!("a payment that is {status} cannot be {verb}"))
        .with("payment_status", status)
}

fn missing() -> Error {
    Error::new(codes::NOT_FOUND, "there is no payment with this id")
}
