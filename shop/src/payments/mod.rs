//! Payments: money set aside, taken and given back.

mod http;
mod model;
mod provider;
mod repository;
mod service;
#[cfg(test)]
pub(crate) mod tests;

use trellis_sdk::database::Migration;
use trellis_sdk::{Module, Parts};

use crate::demo;
use repository::Repository;
use service::Payments;

const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "payments", sql: include_str!("migrations/0001_payments.sql") }];

/// The module.
pub(crate) fn module() -> Module {
    Module::new("payments", MIGRATIONS, async |context| {
        let payments = Payments::new(Repository::new(context.database()?), context.clock.clone());
        if demo::wanted(&context.settings)? {
            payments.seed().await?;
        }
        Ok(Parts::new(http::router(payments)))
    })
}
