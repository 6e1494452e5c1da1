//! `trellis config`: the platform's settings, and the configuration of applications.

pub(crate) mod args;
mod dump;
mod read;
mod request;
mod write;

use std::process::ExitCode;

use clap::ArgMatches;
use trellis_core::Error;

use args::Config;

/// Runs one of the commands. `matches` are those of `config`.
pub(crate) fn run(command: Config, matches: &ArgMatches, json: bool) -> Result<ExitCode, Error> {
    match command {
        Config::Dump(source) => {
            let (_, own) = matches.subcommand().unwrap_or(("", matches));
            return dump::dump(&source, own, json);
        }
        Config::Get { at, look } => read::get(&at, &look, json)?,
        Config::List { at, look } => read::list(&at, &look, json)?,
        Config::History { at, limit, reveal } => read::history(&at, limit, reveal, json)?,
        Config::Diff { at, from, to, reveal } => read::diff(&at, from, to, reveal, json)?,
        Config::Watch { at, look } => read::watch(&at, &look, json)?,
        Config::Audit { at, limit } => read::audit(&at, limit, json)?,
        Config::Set { at, value, secret, about } => write::set(&at, &value, secret, &about, json)?,
        Config::Delete { at, purge, about } => write::delete(&at, purge, &about, json)?,
        Config::Rollback { at, to, about } => write::rollback(&at, to, &about, json)?,
        Config::Schema { at, file, remove, about } => {
            write::schema(&at, file.as_deref(), remove, &about, json)?;
        }
        Config::Gray { at, value, share, label, when, promote, abort, about } => {
            let end = if promote { Some(write::End::Promote) } else { abort.then_some(write::End::Abort) };
            let who = write::Who { share, labels: &label, when: when.as_deref() };
            write::gray(&at, &value, &who, end, &about, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
