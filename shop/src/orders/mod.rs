//! Orders: stock and money brought together, all or nothing, whatever fails on the way.

mod answer;
mod http;
mod mail;
mod model;
mod postman;
mod repository;
mod saga;
mod service;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;
use trellis_sdk::core::error::Result;
use trellis_sdk::database::Migration;
use trellis_sdk::{Context, Module, Parts, Settings};
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::{demo, settings};
use postman::Postman;
use repository::{Journal, Keys, Orders, Outbox, Owner};
use saga::{Driver, Mesh, Policy, Recovery};
use service::Service;

const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "orders", sql: include_str!("migrations/0001_orders.sql") }];

/// The module.
pub(crate) fn module() -> Module {
    Module::new("orders", MIGRATIONS, async |context| build(context).await)
}

async fn build(context: Context) -> Result<Parts> {
    let options = Options::read(&context.settings)?;
    let store = context.database()?;
    let clock = context.clock.clone();
    let owner = Owner { instance: context.instance.to_string(), boot: Uuid::now_v7() };
    let journal = Journal::new(store.clone(), owner, options.lease(), clock.clone());
    let (orders, keys) = (Orders::new(store.clone()), Keys::new(store.clone()));
    let remotes = Arc::new(Mesh::new(&context.mesh, options.call_timeout));
    let mail_bell = Arc::new(Notify::new());
    let driver = Arc::new(Driver {
        remotes: remotes.clone(),
        journal: journal.clone(),
        orders: orders.clone(),
        policy: options.policy(),
        clock: clock.clone(),
        mail_bell: mail_bell.clone(),
    });
    let tracker = TaskTracker::new();
    let service = Arc::new(Service {
        orders,
        keys: keys.clone(),
        journal: journal.clone(),
        driver: driver.clone(),
        room: Arc::new(Semaphore::new(options.max_running)),
        tracker: tracker.clone(),
        clock: clock.clone(),
    });
    if demo::wanted(&context.settings)? {
        service.seed().await?;
    }
    let key_lifetime = options.key_lifetime;
    let recovery =
        Recovery { driver, journal, keys, key_lifetime, clock: clock.clone(), tracker, module: context.name };
    let postman = Postman { outbox: Outbox::new(store), remotes, bell: mail_bell, clock };
    Ok(Parts::new(http::router(service))
        .task("recovery", recovery.run(context.shutdown.clone()))
        .task("postman", postman.run(context.shutdown)))
}

/// The module's settings.
struct Options {
    /// How long placing an order may go on before it is undone.
    patience: Duration,
    /// Longest wait for an answer of another module.
    call_timeout: Duration,
    /// Most orders in the making at once.
    max_running: usize,
    /// How long an answered idempotency key is remembered.
    key_lifetime: Duration,
}

impl Options {
    fn read(settings: &Settings) -> Result<Self> {
        let seconds = Duration::from_secs;
        let (millis, day) = (Duration::from_millis, seconds(24 * 3600));
        Ok(Self {
            patience: settings::duration(settings, "ORDERS_PATIENCE", seconds(8), millis(100)..=seconds(60))?,
            call_timeout: settings::duration(
                settings,
                "ORDERS_CALL_TIMEOUT",
                seconds(5),
                millis(100)..=seconds(60),
            )?,
            max_running: settings::number(settings, "ORDERS_MAX_RUNNING", 1024, 1..=100_000)?,
            key_lifetime: settings::duration(settings, "ORDERS_KEY_LIFETIME", day, seconds(60)..=day * 365)?,
        })
    }

    fn policy(&self) -> Policy {
        Policy {
            patience: self.patience,
            retry: Backoff { first: Duration::from_millis(50), most: Duration::from_secs(1) },
            undo: Backoff { first: Duration::from_millis(200), most: Duration::from_secs(30) },
            tidy: Duration::from_secs(1),
            max_claims: 5,
        }
    }

    /// Longer than any driver works between two entries in the journal: its steps, the last call, and the entry itself
    /// while the database is slow.
    fn lease(&self) -> Duration {
        self.patience * 2 + self.call_timeout * 2 + Duration::from_secs(4)
    }
}
