//! The log of the platform, with the lines its modules write: for people on a terminal, as JSON lines elsewhere.

mod fields;
mod line;
mod people;
mod programs;

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use trellis_core::{Error, codes};

pub use line::module_line;

/// What is logged unless somebody says otherwise. What modules write passes whole: they have levels of their own.
pub const DEFAULT_FILTER: &str = "info,module=trace";

/// Starts the log of this process, on standard error. `filter` has the syntax of `tracing`: `info,trellis_proxy=debug`.
pub fn start(filter: &str) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Error::new(codes::INVALID_PARAMETER, format!("{filter:?} says not what to log")).because(error).with(
            "help",
            vec!["write a level (error, warn, info, debug, trace) or `info,trellis_proxy=debug`"],
        )
    })?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = if io::stderr().is_terminal() {
        subscriber.event_format(people::ForPeople).try_init()
    } else {
        subscriber.with_ansi(false).event_format(programs::ForPrograms).try_init()
    };
    started.map_err(|error| Error::new(codes::INTERNAL, "the log cannot be started").because(error))
}
