//! The shop: one program with five modules. The platform decides by environment which of them a process runs: one
//! each as microservices, all of them as a monolith.

mod backoff;
mod codes;
mod demo;
mod hex;
mod idempotency;
mod inventory;
mod money;
mod notifications;
mod orders;
mod paging;
mod payments;
mod settings;
#[cfg(test)]
mod testing;
mod time;
mod token;
mod users;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use trellis_sdk::Service;

const EXAMPLES: &str = "\
Examples:
  trellis up -f shop/trellis.toml           run the whole shop on the platform
  PORT=9000 shop serve                      all modules in one process, without the platform
  PORT=9001 TRELLIS_MODULES=users shop serve
                                            one module in a process of its own

Environment:
  PORT                 port on 127.0.0.1
  TRELLIS_MODULES      modules to run, with commas between them: users, inventory, payments, notifications, orders
  DATABASE_URL         sqlite:FILE or postgres://...
  SHOP_DEMO            true: fill empty tables with Alice, Bob and two orders
  ORDERS_PATIENCE      how long placing an order may go on before it is undone (8s)
  ORDERS_MAX_RUNNING   orders that may be in the making at once (1024)
  MAIL_SMTP_URL        smtp://... or smtps://...; mail is written to files in the data directory without it
  MAIL_FROM            sender of the shop's mail (shop@localhost)
  MAIL_MAX_ATTEMPTS    tries until a mail is given up (12)";

/// The reference application: users, orders, inventory, payments, notifications.
#[derive(Debug, Parser)]
#[command(name = "shop", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the modules that the environment names, or all of them, until SIGTERM.
    #[command(after_help = EXAMPLES)]
    Serve,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve => Service::new("shop")
            .version(env!("CARGO_PKG_VERSION"))
            .module(users::module())
            .module(inventory::module())
            .module(payments::module())
            .module(notifications::module())
            .module(orders::module())
            .main(),
    }
}
