//! Users: who orders.

mod http;
mod model;
mod repository;
mod service;
#[cfg(test)]
mod tests;

use trellis_sdk::database::Migration;
use trellis_sdk::{Module, Parts};

use crate::demo;
use repository::Repository;
use service::Users;

const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "users", sql: include_str!("migrations/0001_users.sql") }];

/// The module.
pub(crate) fn module() -> Module {
    Module::new("users", MIGRATIONS, async |context| {
        let users = Users::new(Repository::new(context.database()?), context.clock.clone());
        if demo::wanted(&context.settings)? {
            users.seed().await?;
        }
        Ok(Parts::new(http::router(users)))
    })
}
