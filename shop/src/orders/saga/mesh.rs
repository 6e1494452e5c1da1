//! The other modules, over the mesh.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use trellis_sdk::core::{Error, codes, headers};
use trellis_sdk::{Call, CallError, MeshClient, ServiceClient};
use uuid::Uuid;

use super::remotes::{Customer, Fault, Remotes};
use crate::codes::UNKNOWN_USER;
use crate::money::Money;
use crate::orders::answer::Refusal;
use crate::orders::mail::Mail;
use crate::orders::model::{Line, Quote};
use crate::token::Token;

/// Calls the other modules, each call bounded in time.
#[derive(Debug, Clone)]
pub(in crate::orders) struct Mesh {
    users: ServiceClient,
    inventory: ServiceClient,
    payments: ServiceClient,
    notifications: ServiceClient,
    timeout: Duration,
}

/// A reservation, as far as an order goes.
#[derive(Deserialize)]
struct Reservation {
    items: Vec<ReservedLine>,
    total: Money,
}

#[derive(Deserialize)]
struct ReservedLine {
    price: Money,
}

#[derive(Deserialize)]
struct User {
    email: String,
}

#[derive(Deserialize)]
struct Payment {
    id: Uuid,
}

impl Mesh {
    pub(in crate::orders) fn new(mesh: &MeshClient, timeout: Duration) -> Self {
        Self {
            users: mesh.service("users"),
            inventory: mesh.service("inventory"),
            payments: mesh.service("payments"),
            notifications: mesh.service("notifications"),
            timeout,
        }
    }

    async fn done(&self, call: Call) -> Result<(), Fault> {
        call.timeout(self.timeout).done().await.map_err(fault)
    }
}

impl Remotes for Mesh {
    async fn customer(&self, user_id: i64) -> Result<Customer, Fault> {
        let call = self.users.get(format!("/users/{user_id}")).timeout(self.timeout);
        match call.fetch::<User>().await {
            Ok(user) => Ok(Customer { email: user.email }),
            Err(error) if error.status() == Some(404) => {
                Err(Fault::Refused(Refusal::new(UNKNOWN_USER, format!("there is no user {user_id}"))))
            }
            Err(error) => Err(fault(error)),
        }
    }

    async fn reserve(&self, attempt: Uuid, lines: &[Line]) -> Result<Quote, Fault> {
        let body = json!({ "id": attempt, "items": lines });
        let call = self.inventory.post("/inventory/reservations").json(&body).timeout(self.timeout);
        let reserved: Reservation = call.fetch().await.map_err(fault)?;
        if reserved.items.len() != lines.len() {
            let error =
                Error::new(codes::UPSTREAM_INVALID, "inventory reserved other items than it was asked to");
            return Err(Fault::Failed { error, may_be_done: true, may_pass: false });
        }
        Ok(Quote {
            prices: reserved.items.into_iter().map(|line| line.price).collect(),
            total: reserved.total,
        })
    }

    async fn release(&self, attempt: Uuid) -> Result<(), Fault> {
        self.done(self.inventory.post(format!("/inventory/reservations/{attempt}/release"))).await
    }

    async fn authorise(&self, attempt: Uuid, amount: Money, token: &Token) -> Result<Uuid, Fault> {
        let body = json!({ "reference": attempt, "amount": amount, "token": token });
        let call = self.payments.post("/payments").json(&body).timeout(self.timeout);
        Ok(call.fetch::<Payment>().await.map_err(fault)?.id)
    }

    async fn capture(&self, payment: Uuid) -> Result<(), Fault> {
        self.done(self.payments.post(format!("/payments/{payment}/capture"))).await
    }

    async fn void(&self, attempt: Uuid) -> Result<(), Fault> {
        self.done(self.payments.post("/payments/void").json(&json!({ "reference": attempt }))).await
    }

    async fn notify(&self, key: &str, mail: &Mail) -> Result<(), Fault> {
        self.done(self.notifications.post("/notifications").header(headers::IDEMPOTENCY_KEY, key).json(mail))
            .await
    }
}

/// A refusal that concerns the client is one; anything else is a failure.
fn fault(error: CallError) -> Fault {
    let mut may_pass = true;
    if let CallError::Refused { status, problem } = &error {
        if let Some(refusal) = Refusal::passed_on(problem) {
            return Fault::Refused(refusal);
        }
        may_pass = *status >= 500 || problem.retry_after_ms.is_some();
    }
    // Only a request that was never sent has surely had no effect.
    let may_be_done = !matches!(error, CallError::Unavailable(_));
    Fault::Failed { error: error.into(), may_be_done, may_pass }
}
