//! The command line: each command is a thin client of what the library does.

mod args;
mod client;
mod config;
mod explain;
mod files;
mod gateway;
mod helper;
mod manifest;
mod output;
mod overrides;
mod process;
mod proxy;
mod services;
mod status;
mod summary;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use serde_json::json;
use trellis_core::{Error, codes};

use crate::admin;
use crate::manifest::schema;
use crate::up::Role;
use args::{Cli, Command};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if let Some(role) = words.next().and_then(|word| Role::from_word(&word)) {
        return helper::play(role, words);
    }
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let json = cli.json;
    match run(cli, &matches) {
        Ok(code) => code,
        Err(error) => {
            output::report(&error, json);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, matches: &ArgMatches) -> Result<ExitCode, Error> {
    let json = cli.json;
    let (_, own) = matches.subcommand().unwrap_or(("", matches));
    match cli.command {
        Command::Up(up) => return up::run(&up, own, json),
        Command::Gateway(alone) => return gateway::run(&alone, own, json),
        Command::Proxy(beside) => return proxy::run(beside, json),
        Command::Check { file } => return manifest::check(&file, json),
        Command::Config(command) => return config::run(command, own, json),
        Command::Services(client) => services::run(&client.admin, json)?,
        Command::Status(client) => status::run(&client.admin, json)?,
        Command::Override { target, status, client } => overrides::run(&client.admin, &target, status, json)?,
        Command::Explain { code } => explain::run(code.as_deref(), json)?,
        Command::Schema => output::print(&pretty(&schema::schema())?)?,
        Command::Openapi => output::print(&pretty(&admin::openapi())?)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "trellis", &mut script);
            output::print(&String::from_utf8_lossy(&script))?;
        }
        Command::Version if json => output::print_json(&json!({ "version": crate::VERSION }))?,
        Command::Version => output::print(&format!("trellis {}\n", crate::VERSION))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn pretty(document: &impl serde::Serialize) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(document);
    text.map(|text| text + "\n").map_err(|error| Error::new(codes::INTERNAL, "no JSON form").because(error))
}

/// The folder the command was started in.
fn folder() -> Result<PathBuf, Error> {
    std::env::current_dir().map_err(|error| {
        Error::new(codes::MANIFEST_UNREADABLE, "the current folder is gone; go to another").because(error)
    })
}

/// A runtime for a command that asks one thing and ends.
fn small_runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(codes::INTERNAL, "no runtime can be started").because(error))
}
