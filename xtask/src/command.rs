//! Programs that a task runs: shown, waited for, and named when they fail.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Writes a line for the person who runs the task.
#[expect(clippy::print_stderr, reason = "the tasks' own words go to stderr, so that programs own stdout")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// What `cargo run` tells this program about itself. Some build scripts ask for the same names: passed on, they would
/// make cargo build those libraries anew, and once more when it is called by hand.
const ABOUT_US: [&str; 3] = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_NAME"];

/// The cargo that started this task, so that a chosen toolchain stays chosen.
#[expect(clippy::disallowed_methods, reason = "xtask is the outermost layer")]
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if ABOUT_US.iter().any(|ours| name.to_string_lossy().starts_with(ours)) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Whether this runs in CI rather than at somebody's desk.
#[expect(clippy::disallowed_methods, reason = "xtask is the outermost layer")]
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// Whether the environment already has an opinion.
#[expect(clippy::disallowed_methods, reason = "xtask is the outermost layer")]
pub(crate) fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok()
}

/// The command as one would type it.
pub(crate) fn text(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Shows the command, runs it, and fails if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let text = text(command);
    say(&format!("$ {text}"));
    let status = command.status().with_context(|| format!("cannot run `{text}`"))?;
    if !status.success() {
        bail!("`{text}` failed ({status})");
    }
    Ok(())
}

/// Runs the command quietly; whether it could be run and succeeded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
