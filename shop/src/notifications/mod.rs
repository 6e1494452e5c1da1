//! Notifications: mail, kept until it is delivered.

mod courier;
mod http;
mod model;
mod repository;
mod service;
#[cfg(test)]
mod tests;
mod transport;

use std::sync::Arc;

use tokio::sync::Notify;
use trellis_sdk::core::error::Result;
use trellis_sdk::database::Migration;
use trellis_sdk::{Context, Module, Parts};

use crate::settings;
use courier::Courier;
use repository::Repository;
use service::Notifications;
use transport::Transport;

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "notifications",
    sql: include_str!("migrations/0001_notifications.sql"),
}];
const DEFAULT_SENDER: &str = "shop@localhost";
const DEFAULT_ATTEMPTS: u32 = 12;

/// The module.
pub(crate) fn module() -> Module {
    Module::new("notifications", MIGRATIONS, async |context| {
        let repository = Repository::new(context.database()?);
        let bell = Arc::new(Notify::new());
        let courier = Courier {
            repository: repository.clone(),
            transport: transport(&context)?,
            max_attempts: settings::number(
                &context.settings,
                "MAIL_MAX_ATTEMPTS",
                DEFAULT_ATTEMPTS,
                1..=1000,
            )?,
            bell: bell.clone(),
            clock: context.clock.clone(),
        };
        let notifications = Notifications::new(repository, bell, context.clock.clone());
        Ok(Parts::new(http::router(notifications)).task("courier", courier.run(context.shutdown.clone())))
    })
}

fn transport(context: &Context) -> Result<Transport> {
    let from = context.settings.get("MAIL_FROM").unwrap_or(DEFAULT_SENDER);
    match context.settings.get("MAIL_SMTP_URL") {
        Some(url) => Transport::smtp(url, from),
        None => Transport::folder(context.data_dir.join("mail"), from),
    }
}
