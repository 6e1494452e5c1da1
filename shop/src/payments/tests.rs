//! The payments' rules and table, on both databases.

use futures_util::future::join_all;
use trellis_sdk::core::codes;
use trellis_sdk::core::error::Result;
use trellis_sdk::database::{Store, params};
use trellis_sdk::runtime::WallClock;
use uuid::Uuid;

use super::model::{AuthoriseInput, Payment, Status, VoidInput};
use super::repository::Repository;
use super::service::Payments;
use crate::codes::{PAYMENT_CLOSED, PAYMENT_DECLINED, PAYMENT_STATE, UNKNOWN_TOKEN};
use crate::demo;
use crate::money::Money;
use crate::paging::PageQuery;
use crate::testing::{Tables, on_both_databases};
use crate::token::Token;

/// For tests of other modules.
pub(crate) const TABLES: Tables = ("payments", super::MIGRATIONS);

on_both_databases! {
    &[TABLES];
    a_reference_is_paid_once, a_no_stays_a_no, money_goes_back_however_far_it_got, a_void_before_its_payment_wins,
    captures_and_voids_at_once_agree, the_token_is_not_kept, the_demo_payment_comes_once,
}

/// Payments that other modules' tests can use.
#[derive(Clone)]
pub(crate) struct Till {
    payments: Payments,
    store: Store,
}

impl Till {
    pub(crate) fn new(store: Store) -> Self {
        let payments = Payments::new(Repository::new(store.clone()), WallClock::fixed(1));
        Self { payments, store }
    }

    pub(crate) async fn authorise(&self, reference: &str, amount: Money, token: &Token) -> Result<Uuid> {
        let input = AuthoriseInput { reference: reference.into(), amount, token: token.clone() };
        Ok(self.payments.authorise(input).await?.payment.id)
    }

    pub(crate) async fn capture(&self, id: Uuid) -> Result<()> {
        self.payments.capture(id).await.map(drop)
    }

    pub(crate) async fn void(&self, reference: &str) -> Result<()> {
        self.void_to(reference).await.map(drop)
    }

    /// Number and sum, in minor units, of the payments in a status.
    pub(crate) async fn sum(&self, status: &'static str) -> (usize, i64) {
        let sql = "SELECT amount FROM payments_payments WHERE status = $1 AND NOT tombstone";
        let amounts: Vec<i64> = self.store.fetch_all(sql, params![status]).await.unwrap();
        (amounts.len(), amounts.iter().sum())
    }

    async fn void_to(&self, reference: &str) -> Result<Status> {
        Ok(self.payments.void(VoidInput { reference: reference.into() }).await?.status)
    }

    async fn pay(&self, reference: &str, minor: i64, token: &str) -> Result<Uuid> {
        self.authorise(reference, Money::from_minor(minor).unwrap(), &Token::new(token)).await
    }

    async fn list(&self) -> Vec<Payment> {
        self.payments.list(&PageQuery::default().window().unwrap()).await.unwrap().items
    }
}

async fn a_reference_is_paid_once(store: Store) {
    let till = Till::new(store);
    let ids = join_all((0..10).map(|_| till.pay("r1", 500, "tok_ok"))).await;
    let id = *ids[0].as_ref().unwrap();
    assert!(ids.into_iter().all(|again| again.unwrap() == id));
    assert_eq!(till.pay("r1", 501, "tok_ok").await.unwrap_err().code(), codes::IDEMPOTENCY_MISMATCH);

    for _ in 0..2 {
        assert_eq!(till.payments.capture(id).await.unwrap().status, Status::Captured);
    }
    assert_eq!(till.pay("r1", 500, "tok_ok").await.unwrap(), id, "also after it is captured");
    assert_eq!(till.list().await.len(), 1);
    assert_eq!(till.payments.get(Uuid::now_v7()).await.unwrap_err().code(), codes::NOT_FOUND);
    assert_eq!(till.payments.capture(Uuid::now_v7()).await.unwrap_err().code(), codes::NOT_FOUND);
}

async fn a_no_stays_a_no(store: Store) {
    let till = Till::new(store);
    for token in ["tok_declined", "tok_ok"] {
        assert_eq!(till.pay("r1", 500, token).await.unwrap_err().code(), PAYMENT_DECLINED);
    }
    assert_eq!(till.pay("r2", 500, "tok_what").await.unwrap_err().code(), UNKNOWN_TOKEN);
    let listed = till.list().await;
    assert_eq!(listed.len(), 1, "an unknown token leaves nothing");
    let declined = &listed[0];
    assert_eq!(declined.status, Status::Declined);
    assert_eq!(till.payments.capture(declined.id).await.unwrap_err().code(), PAYMENT_STATE);
    assert_eq!(till.payments.refund(declined.id).await.unwrap_err().code(), PAYMENT_STATE);
    assert_eq!(till.void_to("r1").await.unwrap(), Status::Declined, "there is nothing to undo");
}

async fn money_goes_back_however_far_it_got(store: Store) {
    let till = Till::new(store);
    let authorised = till.pay("r1", 500, "tok_ok").await.unwrap();
    let captured = till.pay("r2", 700, "tok_ok").await.unwrap();
    till.capture(captured).await.unwrap();
    for _ in 0..2 {
        assert_eq!(till.payments.refund(authorised).await.unwrap().status, Status::Voided);
        assert_eq!(till.payments.refund(captured).await.unwrap().status, Status::Refunded);
        assert_eq!(till.void_to("r2").await.unwrap(), Status::Refunded);
    }
    assert_eq!(till.payments.capture(captured).await.unwrap_err().code(), PAYMENT_STATE);
    assert_eq!(till.pay("r1", 500, "tok_ok").await.unwrap_err().code(), PAYMENT_CLOSED);
}

async fn a_void_before_its_payment_wins(store: Store) {
    let till = Till::new(store);
    for _ in 0..2 {
        assert_eq!(till.void_to("r1").await.unwrap(), Status::Voided);
    }
    assert_eq!(till.pay("r1", 500, "tok_ok").await.unwrap_err().code(), PAYMENT_CLOSED);
    assert!(till.list().await.is_empty(), "what was never paid is not listed");
}

async fn captures_and_voids_at_once_agree(store: Store) {
    let till = Till::new(store);
    let till = &till;
    join_all((0..10).map(|i| async move {
        let reference = format!("r{i}");
        let id = till.pay(&reference, 100, "tok_ok").await.unwrap();
        let (captured, voided) = tokio::join!(till.capture(id), till.void_to(&reference));
        let end = till.payments.get(id).await.unwrap().status;
        assert_eq!(end, voided.unwrap());
        assert_eq!(end == Status::Refunded, captured.is_ok(), "{end:?}");
    }))
    .await;
}

async fn the_token_is_not_kept(store: Store) {
    let till = Till::new(store.clone());
    till.pay("r1", 500, "tok_ok").await.unwrap();
    let columns = "SELECT id || reference || status FROM payments_payments";
    let kept: Vec<String> = store.fetch_all(columns, params![]).await.unwrap();
    assert!(kept.iter().all(|row| !row.contains("tok_")), "{kept:?}");
    let shown = serde_json::to_string(&till.list().await).unwrap();
    assert!(!shown.contains("tok_"), "{shown}");
}

async fn the_demo_payment_comes_once(store: Store) {
    let till = Till::new(store);
    join_all((0..4).map(|_| till.payments.seed())).await.into_iter().for_each(|seeded| seeded.unwrap());
    assert_eq!(till.sum("captured").await, (1, demo::FIRST_AMOUNT));
}
