//! Inventory: what is for sale, how much of it, and what is set aside. Over HTTP and gRPC.

mod grpc;
mod http;
mod model;
mod repository;
mod service;
#[cfg(test)]
pub(crate) mod tests;

use trellis_sdk::database::Migration;
use trellis_sdk::{Module, Parts};

use crate::demo;
use repository::Repository;
use service::Inventory;

const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "inventory", sql: include_str!("migrations/0001_inventory.sql") }];

/// The module.
pub(crate) fn module() -> Module {
    Module::new("inventory", MIGRATIONS, async |context| {
        let store = context.database()?;
        let inventory = Inventory::new(Repository::new(store.clone()), context.clock.clone());
        if demo::wanted(&context.settings)? {
            inventory.seed().await?;
        }
        let (grpc, reporter) = grpc::router(inventory.clone())?;
        let health = grpc::report_health(reporter, store, context.shutdown.clone());
        Ok(Parts::new(http::router(inventory).merge(grpc)).task("grpc-health", health))
    })
}
