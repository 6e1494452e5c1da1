//! What the saga asks of other modules.

use std::future::Future;

use trellis_sdk::core;
use uuid::Uuid;

use crate::money::Money;
use crate::orders::answer::Refusal;
use crate::orders::mail::Mail;
use crate::orders::model::{Line, Quote};
use crate::token::Token;

/// The other modules. Every call may be repeated: the second time has no effect beyond that of the first.
pub(in crate::orders) trait Remotes: Send + Sync + 'static {
    /// Who orders.
    fn customer(&self, user_id: i64) -> impl Future<Output = Result<Customer, Fault>> + Send;
    /// Takes all lines from stock, or none.
    fn reserve(&self, attempt: Uuid, lines: &[Line]) -> impl Future<Output = Result<Quote, Fault>> + Send;
    /// Gives the stock back, and sees to it that it is not taken later.
    fn release(&self, attempt: Uuid) -> impl Future<Output = Result<(), Fault>> + Send;
    /// Sets money aside; the payment's id.
    fn authorise(
        &self,
        attempt: Uuid,
        amount: Money,
        token: &Token,
    ) -> impl Future<Output = Result<Uuid, Fault>> + Send;
    /// Takes the money that was set aside.
    fn capture(&self, payment: Uuid) -> impl Future<Output = Result<(), Fault>> + Send;
    /// Gives the money back however far it got, and sees to it that it is not taken later.
    fn void(&self, attempt: Uuid) -> impl Future<Output = Result<(), Fault>> + Send;
    /// Hands a mail on.
    fn notify(&self, key: &str, mail: &Mail) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// A user, as far as an order goes.
#[derive(Debug, Clone)]
pub(in crate::orders) struct Customer {
    pub(in crate::orders) email: String,
}

/// Why a call has no answer that can be worked with.
#[derive(Debug)]
pub(in crate::orders) enum Fault {
    /// By the rules: asking again would be refused again, and nothing was done.
    Refused(Refusal),
    /// Without an answer for the client: somebody is absent, or something is wrong between us.
    Failed {
        /// What happened.
        error: core::Error,
        /// Whether it may have been done although the answer is missing.
        may_be_done: bool,
        /// Whether asking again may help.
        may_pass: bool,
    },
}

impl Fault {
    /// What happened, for the log.
    pub(in crate::orders) fn describe(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.detail.clone(),
            Self::Failed { error, .. } => core::error::chain(error),
        }
    }
}
