//! `cargo xtask up`: the platform and the shop, from source to a table of addresses.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Result, anyhow};

use crate::command;
use crate::workspace::{Profile, Workspace};

/// Builds the platform and the shop (release) and runs them until Ctrl-C
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask up
  cargo xtask up --phase monolith --data-dir data-monolith
  cargo xtask up --gateway-listen 127.0.0.1:9000

Without arguments this is:
  target/release/trellis up -f shop/trellis.toml --data-dir data --phase microservices")]
pub(crate) struct Args {
    /// Arguments of `trellis up`; they replace the ones above
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    workspace.build(Profile::Release, &["trellis", "shop"])?;
    let mut trellis = Command::new(workspace.program(Profile::Release, "trellis"));
    trellis.current_dir(&workspace.root).arg("up").args(arguments(&args.args));
    command::say(&format!("$ {}", command::text(&trellis)));
    // In this process's place: Ctrl-C and the exit code are trellis's own.
    let error = trellis.exec();
    Err(anyhow!(error).context("cannot run the trellis that was just built"))
}

/// What the user says, after our own choice of whatever they left out.
fn arguments(given: &[OsString]) -> Vec<OsString> {
    const OURS: [(&str, Option<&str>, &str); 3] = [
        ("--file", Some("-f"), "shop/trellis.toml"),
        ("--data-dir", None, "data"),
        ("--phase", None, "microservices"),
    ];
    let mut all = Vec::new();
    for (long, short, value) in OURS {
        if !given.iter().any(|arg| is_option(&arg.to_string_lossy(), long, short)) {
            all.push(short.unwrap_or(long).into());
            all.push(value.into());
        }
    }
    all.extend(given.iter().cloned());
    all
}

/// Whether `arg` is this option, alone or with its value (`--phase=x`, `-fx`).
fn is_option(arg: &str, long: &str, short: Option<&str>) -> bool {
    let is_long = arg.strip_prefix(long).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
    let is_short = short.is_some_and(|short| arg.starts_with(short) && !arg.starts_with("--"));
    is_long || is_short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(given: &[&str]) -> String {
        let given: Vec<OsString> = given.iter().map(Into::into).collect();
        arguments(&given).iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn without_arguments_the_shop_runs_as_microservices() {
        assert_eq!(text(&[]), "-f shop/trellis.toml --data-dir data --phase microservices");
    }

    #[test]
    fn what_the_user_says_replaces_ours() {
        assert_eq!(text(&["-f", "a.toml"]), "--data-dir data --phase microservices -f a.toml");
        assert_eq!(text(&["--file=a.toml"]), "--data-dir data --phase microservices --file=a.toml");
        assert_eq!(text(&["--phase", "monolith"]), "-f shop/trellis.toml --data-dir data --phase monolith");
        assert_eq!(text(&["--data-dir=d"]), "-f shop/trellis.toml --phase microservices --data-dir=d");
    }

    #[test]
    fn other_options_are_added() {
        let ours = "-f shop/trellis.toml --data-dir data --phase microservices";
        assert_eq!(text(&["--json"]), format!("{ours} --json"));
        assert_eq!(text(&["--phase-x"]), format!("{ours} --phase-x"));
    }
}
